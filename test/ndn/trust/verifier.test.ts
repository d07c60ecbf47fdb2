import { Data, digestSigning, nullSigner, type Signer } from "@ndn/packet";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatName } from "#ndn/packet/name.ts";
import { createVerifier } from "#ndn/trust/verifier.ts";
import { Authority, type Kind, kinds, nowMs, wireOf } from "./authority.ts";
import { anchorsOf, CertificateNetwork, inTime, prefix, ruleBrokenBy, verifierFor } from "./network.ts";

const packetName = "/example/registry/repository/blob";

async function chain(...identities: string[]): Promise<Authority[]> {
  const all = [await Authority.make(identities[0]!)];
  for (const identity of identities.slice(1)) all.push(await Authority.make(identity, { issuer: all.at(-1)! }));
  return all;
}

async function signedBy(signer: Signer): Promise<Buffer> {
  const data = new Data(packetName, Buffer.from("content"));
  await signer.sign(data);
  return wireOf(data);
}

describe("a packet is trusted", () => {
  test.each(Object.keys(kinds) as Kind[])("when it is signed with an anchor's own key of kind %s", async (kind) => {
    const anchor = await Authority.make("/example/registry", { kind });
    const network = new CertificateNetwork();
    const verifier = await verifierFor([anchor], network);
    const { content } = await verifier.verify(await anchor.sign(packetName), inTime());
    expect(content.toString()).toBe("content");
    expect(network.asked).toEqual([]);
  });

  test.each([
    ["/example", "/example/registry"],
    ["/example", "/example", "/example/registry"],
    ["/", "/example", "/example", "/example", "/example/registry"],
  ])("with a chain from %s", async (...identities) => {
    const all = await chain(...identities);
    const verifier = await verifierFor([all[0]!], new CertificateNetwork(...all));
    expect(await ruleBrokenBy(verifier, await all.at(-1)!.sign(packetName))).toBeUndefined();
  });

  test("with a chain of all kinds of keys, named by key rather than by certificate", async () => {
    const root = await Authority.make("/example", { kind: "RSA 2048" });
    const site = await Authority.make("/example", { kind: "Ed25519", issuer: root, locator: root.keyName });
    const server = await Authority.make("/example/registry", {
      kind: "ECDSA P-384",
      issuer: site,
      locator: site.keyName,
    });
    const network = new CertificateNetwork(site, server);
    const verifier = await verifierFor([root], network);
    expect(await ruleBrokenBy(verifier, await server.sign(packetName, server.keyName))).toBeUndefined();
    expect(network.asked).toEqual([server.keyName, site.keyName].map(({ value }) => formatName(value)));
  });
});

describe("a packet is refused", () => {
  test("that is no Data", async () => {
    const verifier = await verifierFor([await Authority.make("/example")], new CertificateNetwork());
    for (const packet of [Buffer.alloc(0), Buffer.from("0500", "hex"), Buffer.from("0602070008", "hex")]) {
      expect(await ruleBrokenBy(verifier, packet)).toBe("malformed");
    }
  });

  test("whose name is not under the prefix", async () => {
    const anchor = await Authority.make("/example");
    const verifier = await verifierFor([anchor], new CertificateNetwork());
    expect(await ruleBrokenBy(verifier, await anchor.sign("/example/other/blob"))).toBe("name");
  });

  test.each([
    ["no signature at all", nullSigner],
    ["a mere digest", digestSigning],
  ])("with %s", async (_, signer) => {
    const verifier = await verifierFor([await Authority.make("/example")], new CertificateNetwork());
    expect(await ruleBrokenBy(verifier, await signedBy(signer))).toBe("signature-type");
  });

  test.each(["/example", "/example/registry/KEYS/k/issuer/v", "/example/KEY"])(
    "with KeyLocator %s",
    async (locator) => {
      const anchor = await Authority.make("/example");
      const verifier = await verifierFor([anchor], new CertificateNetwork(anchor));
      expect(await ruleBrokenBy(verifier, await anchor.sign(packetName, locator))).toBe("key-locator");
    },
  );

  test.each(["/other", "/example/registry/repository", "/example/reg"])("signed by %s", async (identity) => {
    const anchor = await Authority.make(identity);
    const verifier = await verifierFor([anchor], new CertificateNetwork(anchor));
    expect(await ruleBrokenBy(verifier, await anchor.sign(packetName))).toBe("prefix");
  });

  test("when an issuer is not above its subject", async () => {
    const root = await Authority.make("/example/registry");
    const server = await Authority.make("/example", { issuer: root });
    const verifier = await verifierFor([root], new CertificateNetwork(root, server));
    expect(await ruleBrokenBy(verifier, await server.sign(packetName))).toBe("hierarchy");
  });

  test("signed by a certificate that is no anchor", async () => {
    const impostor = await Authority.make("/example/registry");
    const verifier = await verifierFor([await Authority.make("/example/registry")], new CertificateNetwork(impostor));
    expect(await ruleBrokenBy(verifier, await impostor.sign(packetName))).toBe("not-anchored");
  });

  test("signed with another key than it says", async () => {
    const [anchor, impostor] = [await Authority.make("/example"), await Authority.make("/example")];
    const verifier = await verifierFor([anchor], new CertificateNetwork());
    expect(await ruleBrokenBy(verifier, await impostor.sign(packetName, anchor.name))).toBe("signature");
  });

  test("whose certificate is signed with another key than it says", async () => {
    const [root, impostor] = [await Authority.make("/example"), await Authority.make("/example")];
    const server = await Authority.make("/example/registry", { issuer: impostor, locator: root.name });
    const verifier = await verifierFor([root], new CertificateNetwork(server));
    expect(await ruleBrokenBy(verifier, await server.sign(packetName))).toBe("signature");
  });

  test("whose signature type is not that of the key", async () => {
    const anchor = await Authority.make("/example", { kind: "RSA 2048" });
    const wire = await anchor.sign(packetName);
    const at = wire.indexOf(Buffer.from("1b0101", "hex"));
    for (const type of [3, 5]) {
      const forged = Buffer.from(wire);
      forged[at + 2] = type;
      const verifier = await verifierFor([anchor], new CertificateNetwork());
      expect(await ruleBrokenBy(verifier, forged)).toBe("signature");
    }
  });

  test.each([
    ["has expired", { toMs: nowMs - 1000 }],
    ["is not valid yet", { fromMs: nowMs + 1000 }],
  ])("when a certificate of the chain %s", async (_, period) => {
    const root = await Authority.make("/example");
    const server = await Authority.make("/example/registry", { issuer: root, ...period });
    const verifier = await verifierFor([root], new CertificateNetwork(server));
    expect(await ruleBrokenBy(verifier, await server.sign(packetName))).toBe("validity");
  });

  test("when the anchor has expired, though the certificate below has not", async () => {
    const root = await Authority.make("/example", { toMs: nowMs - 1000 });
    const server = await Authority.make("/example/registry", { issuer: root });
    const verifier = await verifierFor([root], new CertificateNetwork(root, server));
    expect(await ruleBrokenBy(verifier, await server.sign(packetName))).toBe("validity");
    expect(await ruleBrokenBy(verifier, await root.sign(packetName))).toBe("validity");
  });

  test("with a chain of more than five", async () => {
    const all = await chain("/", "/", "/example", "/example", "/example", "/example/registry");
    const verifier = await verifierFor([all[0]!], new CertificateNetwork(...all));
    expect(await ruleBrokenBy(verifier, await all.at(-1)!.sign(packetName))).toBe("chain-length");
  });

  test("with a chain of more than five, also when its upper part is known already", async () => {
    const all = await chain("/", "/", "/example", "/example", "/example/registry", "/example/registry");
    const verifier = await verifierFor([all[0]!], new CertificateNetwork(...all));
    expect(await ruleBrokenBy(verifier, await all[4]!.sign(packetName))).toBeUndefined();
    expect(await ruleBrokenBy(verifier, await all[5]!.sign(packetName))).toBe("chain-length");
  });

  test("with certificates that sign each other", async () => {
    const first = await Authority.make("/example");
    const second = await Authority.make("/example", { issuer: first });
    const again = await first.again({ issuer: second, locator: second.keyName });
    const other = await Authority.make("/example", { issuer: again, locator: second.name });
    const looped = await second.again({ issuer: again, locator: again.keyName });
    const network = new CertificateNetwork(again, looped, other);
    const verifier = await verifierFor([await Authority.make("/example")], network);
    expect(await ruleBrokenBy(verifier, await looped.sign(packetName))).toBe("loop");
    expect(network.asked.length).toBeLessThan(5);
  });

  test("when something else comes for the certificate", async () => {
    const root = await Authority.make("/example");
    const server = await Authority.make("/example/registry", { issuer: root });
    const packet = await server.sign(packetName);
    const stray = await root.sign(server.name);
    for (const answer of [root.wire, stray, Buffer.from("0600", "hex"), server.wire.subarray(1)]) {
      const fetchCertificate = () => Promise.resolve(answer);
      const verifier = createVerifier({ anchors: await anchorsOf(root), prefix, fetchCertificate, now: () => nowMs });
      expect(await ruleBrokenBy(verifier, packet)).toBe("certificate");
    }
  });

  test("when the certificate cannot be had", async () => {
    const root = await Authority.make("/example");
    const server = await Authority.make("/example/registry", { issuer: root });
    const verifier = await verifierFor([root], new CertificateNetwork());
    await expect(verifier.verify(await server.sign(packetName), inTime())).rejects.toMatchObject({
      rule: "unavailable",
      message: expect.stringContaining("no one answers"),
    });
  });
});

test.each(Object.keys(kinds) as Kind[])("no packet is trusted after a bit was flipped (%s)", async (kind) => {
  const anchor = await Authority.make("/example", { kind });
  const verifier = await verifierFor([anchor], new CertificateNetwork());
  const packet = await anchor.sign(packetName);
  for (let bit = 0; bit < packet.length * 8; bit++) {
    const flipped = Buffer.from(packet);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    expect(await ruleBrokenBy(verifier, flipped), `bit ${bit}`).toBeDefined();
  }
});

test("no packet is trusted after bytes were put in or taken out", async () => {
  const anchor = await Authority.make("/example");
  const verifier = await verifierFor([anchor], new CertificateNetwork());
  const packet = await anchor.sign(packetName);
  const edit = fc.tuple(fc.nat(packet.length), fc.nat(8), fc.uint8Array({ maxLength: 8 }));
  await fc.assert(
    fc.asyncProperty(edit, async ([at, removed, added]) => {
      const edited = Buffer.concat([packet.subarray(0, at), added, packet.subarray(at + removed)]);
      fc.pre(!edited.equals(packet));
      expect(await ruleBrokenBy(verifier, edited)).toBeDefined();
    }),
    { numRuns: 300, seed: 6 },
  );
});
