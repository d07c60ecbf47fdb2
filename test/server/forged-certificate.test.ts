import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Data, Interest, Name as NdnName } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NdnSource } from "#blob/ndn-source.ts";
import { fromStart } from "#blob/source.ts";
import { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import { InterestClient } from "#ndn/consumer/interest-client.ts";
import type { PacketHandler } from "#ndn/face/face.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { readInterest } from "#ndn/packet/interest.ts";
import { joinName, type Name, startsWith } from "#ndn/packet/name.ts";
import { TT, tlv } from "#ndn/packet/tlv.ts";
import { SegmentProducer } from "#ndn/producer.ts";
import { TrustAnchors } from "#ndn/trust/anchors.ts";
import { type Certificate, readCertificate } from "#ndn/trust/certificate.ts";
import { CertificateDirectory } from "#ndn/trust/certificate-directory.ts";
import { certificateFetcher } from "#ndn/trust/certificate-fetcher.ts";
import { newKeyName, selfSign } from "#ndn/trust/issue-certificate.ts";
import { newKey } from "#ndn/trust/keychain.ts";
import { createSigner } from "#ndn/trust/signed-data.ts";
import { createVerifier } from "#ndn/trust/verifier.ts";
import { Authority } from "#test/ndn/trust/authority.ts";
import { forgeryOf } from "#test/ndn/trust/forged.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { makeIdentity, type TestIdentity } from "../publish/identity.ts";
import { repository } from "../publish/lists.ts";
import { never, prefix, serve } from "../publish/serving.ts";

let registry: TestRegistry;
let identity: TestIdentity;
let forged: Buffer;

beforeAll(async () => {
  registry = await startRegistry();
  identity = await makeIdentity(prefix);
  forged = await forgeryOf(identity.parsed.wire, await Authority.make("/test"), new NdnName(identity.parsed.name));
});
afterAll(() => registry.close());

function fullNameOf({ name, digest }: Pick<Certificate, "name" | "digest">): Name {
  return joinName(name, tlv(TT.ImplicitSha256DigestComponent, Buffer.from(digest.slice("sha256:".length), "hex")));
}

/** A router in front of `behind` that has `packet` in its store, and what passes it. */
function cacheIn(behind: PacketHandler, packet: Buffer) {
  const { name } = readCertificate(packet);
  const passed: Name[] = [];
  const handler: PacketHandler = {
    accept(view, face) {
      const asked = Buffer.from(view.buf.subarray(view.nameStart, view.nameEnd));
      const isHit = readInterest(view)?.canBePrefix ? startsWith(name, asked) : asked.equals(name);
      if (isHit) {
        face.send(packet);
        return true;
      }
      passed.push(asked);
      return behind.accept(view, face);
    },
  };
  return { handler, passed };
}

/** What a puller with this anchor reads through a router, and how many packets it did not believe. */
async function readThrough(handler: PacketHandler, anchor: string) {
  const bytes = patternBlob(300_000);
  const uplink = new MemoryUplink(handler);
  const consumer = new SegmentConsumer(uplink, { maxWindow: 64 });
  uplink.addHandler(consumer);
  const interests = new InterestClient(uplink);
  uplink.open();
  try {
    const anchors = TrustAnchors.load([anchor]);
    const fetchCertificate = certificateFetcher(interests, anchors);
    const verifier = createVerifier({ anchors, prefix, fetchCertificate });
    let refused = 0;
    const events = { untrusted: () => void refused++, wrong: () => void refused++ };
    const source = new NdnSource(prefix, interests, consumer, { verifier, events });
    const digest = registry.addBlob(repository, bytes);
    const { chunks } = await source.open({ repository, digest }, fromStart, AbortSignal.timeout(10_000));
    const all: Uint8Array[] = [];
    for await (const chunk of chunks) all.push(Buffer.from(chunk));
    return { isRight: Buffer.concat(all).equals(bytes), refused };
  } finally {
    uplink.close();
  }
}

const isCertificate = (name: Name) => name.includes(Buffer.from("KEY"));

test("a forged certificate in a cache costs a puller with the anchor's digest a round trip, and no packet", async () => {
  await using serving = await serve(registry, { identity });
  const { handler, passed } = cacheIn(serving.server.producer, forged);
  expect(await readThrough(handler, identity.digest)).toEqual({ isRight: true, refused: 0 });
  const interests = passed.filter(isCertificate);
  expect(interests.every((name) => startsWith(name, identity.parsed.name))).toBe(true);
  expect(interests.filter((name) => name.equals(fullNameOf(identity.parsed)))).toHaveLength(1);
  expect(interests).toHaveLength(2);
});

test("an anchor of an issuer that knows no unique Interests is asked for by its digest", async () => {
  await using serving = await serve(registry, { identity });
  const other: PacketHandler = {
    accept: (view, face) => readInterest(view)?.parameters !== undefined || serving.server.producer.accept(view, face),
  };
  const { handler } = cacheIn(other, forged);
  expect(await readThrough(handler, identity.digest)).toEqual({ isRight: true, refused: 0 });
});

test("a certificate of which only the issuer is an anchor is asked for by a unique Interest", async () => {
  const validity = { fromMs: 0, toMs: Date.now() + 1e10 };
  const root = await Authority.make("/test", validity);
  const key = newKey();
  const request = await selfSign(key, newKeyName(prefix), Date.now());
  const issued = await root.certify(request.wire, { ...validity, locator: root.name });
  const signer = createSigner(key, issued.name);
  const certificates = [issued, root.ours];
  const issuedIdentity = { ...identity, signer, certificate: issued.wire, certificates };
  await using serving = await serve(registry, { identity: issuedIdentity });
  const forgery = await forgeryOf(issued.wire, await Authority.make("/test"), new NdnName(issued.name));
  const { handler, passed } = cacheIn(serving.server.producer, forgery);
  await using folder = await makeTemporaryFolder();
  const anchor = join(folder.path, "anchor");
  await writeFile(anchor, root.wire);
  expect(await readThrough(handler, anchor)).toEqual({ isRight: true, refused: 0 });
  expect(passed.filter(isCertificate)).toHaveLength(1);
});

test("a unique Interest for a certificate brings it inside a packet of that very name", async () => {
  const directory = new CertificateDirectory(identity.certificates);
  const uplink = new MemoryUplink(new SegmentProducer(prefix, directory));
  const interests = new InterestClient(uplink);
  uplink.open();
  const { name, keyName, wire } = identity.parsed;
  for (const asked of [name, keyName]) {
    const packet = await interests.express(asked, { timeoutMs: 5_000 }, never, { isUnique: true });
    const data = new Decoder(packet).decode(Data);
    expect(data.name.getPrefix(-1).equals(new NdnName(asked))).toBe(true);
    expect(data.name.at(-1).type).toBe(TT.ParametersSha256DigestComponent);
    expect(data.freshnessPeriod).toBe(1_000);
    expect(Buffer.from(data.content).equals(wire)).toBe(true);
  }
  uplink.close();
});

test("a name that does not have the digest of the parameters is silence, and so is a stranger's certificate", async () => {
  const directory = new CertificateDirectory(identity.certificates);
  const parameters = tlv(TT.ApplicationParameters, Buffer.from("x"));
  const fields = { canBePrefix: true, mustBeFresh: true, forwardingHint: [], parameters };
  const wrong = tlv(TT.ParametersSha256DigestComponent, Buffer.alloc(32, 3));
  expect(directory.lookup(joinName(identity.parsed.name, wrong), fields)).toBeUndefined();
  const interest = new Interest(new NdnName(prefix).append("KEY", "other"), Interest.CanBePrefix);
  interest.appParameters = Buffer.from("x");
  await interest.updateParamsDigest();
  expect(directory.lookup(Buffer.from(interest.name.value), fields)).toBeUndefined();
});
