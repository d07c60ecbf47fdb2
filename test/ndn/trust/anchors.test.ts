import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseName } from "#ndn/packet/name.ts";
import { AnchorError, TrustAnchors } from "#ndn/trust/anchors.ts";
import { createVerifier } from "#ndn/trust/verifier.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { Authority, nowMs } from "./authority.ts";
import { CertificateNetwork, prefix, ruleBrokenBy, verifierFor } from "./network.ts";

const packetName = "/example/registry/repository/blob";

function wrapped(wire: Buffer): string {
  return `${wire
    .toString("base64")
    .match(/.{1,64}/g)!
    .join("\n")}\n`;
}

async function loadText(text: string | Buffer): Promise<TrustAnchors> {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, "anchor.ndncert");
  await writeFile(path, text);
  return TrustAnchors.load([path]);
}

describe("a file is an anchor", () => {
  test("as ndnsec writes it, bare, armoured, and with several certificates", async () => {
    const [a, b, c] = await Promise.all(["/a", "/bb", "/ccc"].map((identity) => Authority.make(identity)));
    const armour = `text\n-----BEGIN NDN CERT-----\nName: /a\nSigType: x\n\n${wrapped(a!.wire)}-----END NDN CERT-----\n`;
    expect((await loadText(wrapped(a!.wire))).size).toBe(1);
    expect((await loadText(a!.wire)).size).toBe(1);
    expect((await loadText(armour)).size).toBe(1);
    expect((await loadText([a!, b!, c!].map(({ wire }) => wrapped(wire)).join("\n"))).size).toBe(3);
    expect((await loadText(Buffer.concat([a!, b!, c!].map(({ wire }) => wire)))).size).toBe(3);
  });

  test.each<[string, (wire: Buffer) => string | Buffer, RegExp]>([
    ["empty", () => "", /not an NDN certificate/],
    ["no base64", () => "hello, world", /not an NDN certificate/],
    ["cut off", (wire) => wire.toString("base64").slice(0, -8), /not an NDN certificate/],
    ["an X.509 certificate", () => "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", /not an NDN/],
    ["followed by something else", (wire) => Buffer.concat([wire, Buffer.of(5, 0)]), /not a well-formed NDN Data/],
  ])("but not when it is %s", async (_, spoil, message) => {
    const { wire } = await Authority.make("/a");
    await expect(loadText(spoil(wire))).rejects.toThrow(AnchorError);
    await expect(loadText(spoil(wire))).rejects.toThrow(message);
    await expect(loadText(spoil(wire))).rejects.toThrow(/anchor \/.*anchor.ndncert: /);
  });

  test("but not when the packet in it is no certificate", async () => {
    const authority = await Authority.make("/a");
    await expect(loadText((await authority.sign("/a/data")).toString("base64"))).rejects.toThrow(
      /\/a\/data is not the name/,
    );
  });

  test("but not when it is missing", () => {
    expect(() => TrustAnchors.load(["/nowhere/anchor"])).toThrow(/anchor \/nowhere\/anchor: ENOENT/);
  });
});

describe("a digest is an anchor", () => {
  test.each(["sha256:", "sha256:12", `sha256:${"g".repeat(64)}`])("but not %s", (spec) => {
    expect(() => TrustAnchors.load([spec])).toThrow(/64 hexadecimal digits/);
  });

  test("once a certificate with it has been met, however it is named", async () => {
    const root = await Authority.make("/example");
    const server = await Authority.make("/example/registry", { issuer: root, locator: root.keyName });
    const anchors = TrustAnchors.load([root.ours.digest.toUpperCase().replace("SHA256", "sha256")]);
    const network = new CertificateNetwork(root, server);
    const verifier = createVerifier({ anchors, prefix, fetchCertificate: network.fetch, now: () => nowMs });
    expect(anchors.unmet).toHaveLength(1);
    expect(await ruleBrokenBy(verifier, await server.sign(packetName))).toBeUndefined();
    expect(anchors.unmet).toEqual([]);
    expect(network.asked).toHaveLength(2);
    expect(await ruleBrokenBy(verifier, await root.sign(packetName))).toBeUndefined();
    expect(network.asked).toHaveLength(2);
  });

  test("for that certificate only, not for another of the same name", async () => {
    const [root, impostor] = [await Authority.make("/example"), await Authority.make("/example")];
    const anchors = TrustAnchors.load([root.ours.digest]);
    const network = new CertificateNetwork(impostor);
    const verifier = createVerifier({ anchors, prefix, fetchCertificate: network.fetch, now: () => nowMs });
    expect(await ruleBrokenBy(verifier, await impostor.sign(packetName))).toBe("not-anchored");
  });
});

test("with an old and a new anchor, packets of both are trusted, and the old one's only until it ends", async () => {
  const old = await Authority.make("/example/registry", { toMs: nowMs + 60_000 });
  const next = await Authority.make("/example/registry");
  let now = nowMs;
  const verifier = await verifierFor([old, next], new CertificateNetwork(), () => now);
  const packets = [await old.sign(packetName), await next.sign(packetName)];
  for (const packet of packets) expect(await ruleBrokenBy(verifier, packet)).toBeUndefined();
  now += 61_000;
  expect(await ruleBrokenBy(verifier, packets[0]!)).toBe("validity");
  expect(await ruleBrokenBy(verifier, packets[1]!)).toBeUndefined();
});

test("two anchors of one key: the one that is valid counts", async () => {
  const old = await Authority.make("/example/registry", { toMs: nowMs - 60_000 });
  const next = await old.again({});
  const verifier = await verifierFor([old, next], new CertificateNetwork());
  expect(await ruleBrokenBy(verifier, await next.sign(packetName, next.keyName))).toBeUndefined();
});

test("anchors that are of no use, or near their end, are warned of", async () => {
  const dayMs = 86_400_000;
  const anchors = new TrustAnchors();
  for (const [identity, days] of [
    ["/example", 31],
    ["/example/registry", 29.5],
    ["/other", 100],
  ] as const) {
    anchors.trust((await Authority.make(identity, { toMs: nowMs + days * dayMs })).ours);
  }
  expect(anchors.warnings(prefix, nowMs)).toEqual([
    expect.stringMatching(/registry\/KEY.* expires in 29 days, on 2030-01-30/),
    expect.stringMatching(/\/other is not a prefix of \/example\/registry/),
  ]);
  expect(anchors.warnings(parseName("/example"), nowMs)).toHaveLength(2);
  expect(anchors.warnings(prefix, nowMs + 32 * dayMs)[0]).toMatch(/has expired/);
});
