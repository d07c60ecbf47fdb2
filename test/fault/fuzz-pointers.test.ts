/** Pointers that were valid once, into a client. `NDN_REGISTRY_FUZZ=n` says how many; without it, a thousand. */
import pino from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodePointer } from "#blob/pointer.ts";
import { pointerName } from "#blob/pointer-names.ts";
import { ClockOffsets } from "#client/pointers/clock-offsets.ts";
import { PointerMemory } from "#client/pointers/pointer-memory.ts";
import { PointerReader } from "#client/pointers/pointer-reader.ts";
import { joinName, segment, version } from "#ndn/packet/name.ts";
import { TrustAnchors } from "#ndn/trust/anchors.ts";
import { encodeSignedData } from "#ndn/trust/signed-data.ts";
import { createVerifier } from "#ndn/trust/verifier.ts";
import { makeIdentity, type TestIdentity } from "#test/publish/identity.ts";
import { seededRandom } from "#test/support/seeded-random.ts";
import { NoAnswer, type SignedObjects } from "#uplinks/signed-objects.ts";
import { digestOfBytes } from "../client/pointers/signing-server.ts";
import { manifest, prefix, repository } from "../client/pointers/stage.ts";
import { fuzzed } from "./fuzzed-packets.ts";

const rounds = Number(process.env.NDN_REGISTRY_FUZZ ?? 1_000);
const seed = Number(process.env.NDN_REGISTRY_FUZZ_SEED ?? 1);
const log = pino({ level: "silent" });
const shared = { memory: PointerMemory.open(undefined, log), clocks: new ClockOffsets(log), maxAgeMs: 60_000 };
const target = { kind: "tag", repository, tag: "latest" } as const;
const digest = digestOfBytes(manifest);

let identity: TestIdentity;
beforeAll(async () => {
  identity = await makeIdentity(prefix);
});
afterAll(() => shared.memory.close());

function contentNow(): Buffer {
  const described = { digest, sizeBytes: manifest.length, segmentBytes: 8192 as const, mediaType: "a/b" };
  return encodePointer(prefix, { ...described, maxAgeMs: 600_000, asOfMs: Date.now(), inline: manifest });
}

const nameOf = () => joinName(pointerName(prefix, target), version(1), segment(0));

function readerOf(ask: SignedObjects["ask"]): PointerReader {
  const objects: SignedObjects = { prefix, ask, read: () => undefined };
  return new PointerReader({ objects, ...shared });
}

test(`of ${rounds} spoiled packets none says anything but what was signed`, async () => {
  const signal = AbortSignal.timeout(60_000);
  const fields = { contentType: 0, freshnessMs: 2_000, content: contentNow(), finalBlockIsLast: true };
  const packet = await encodeSignedData(nameOf(), fields, identity.signer);
  const anchors = TrustAnchors.load([]);
  anchors.trust(identity.parsed);
  const fetchCertificate = () => Promise.reject(new Error("there is none"));
  const verifier = createVerifier({ anchors, prefix, fetchCertificate });
  const random = seededRandom(seed);
  for (let round = 0; round < rounds; round++) {
    const reader = readerOf(() =>
      verifier.verify(fuzzed([packet], random), signal).catch((err: unknown) => {
        throw new NoAnswer("not believed", { cause: err });
      }),
    );
    const pointer = await reader.read(target, signal).catch((err: unknown) => {
      expect(err).toBeInstanceOf(NoAnswer);
      return undefined;
    });
    if (pointer) expect([pointer.digest, pointer.inline?.equals(manifest)]).toEqual([digest, true]);
  }
}, 120_000);

test(`of ${rounds} pointers that are signed and spoiled none is used that contradicts itself`, async () => {
  const signal = AbortSignal.timeout(60_000);
  const content = contentNow();
  const random = seededRandom(seed);
  const keyLocator = identity.parsed.name;
  for (let round = 0; round < rounds; round++) {
    const signed = {
      contentType: 0,
      content: fuzzed([content], random),
      signature: { keyLocator, timeMs: Date.now() },
    };
    const reader = readerOf(() => Promise.resolve(signed as never));
    const pointer = await reader.read(target, signal).catch((err: unknown) => {
      expect(err).toBeInstanceOf(NoAnswer);
      return undefined;
    });
    if (!pointer) continue;
    expect(pointer.sizeBytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    if (pointer.inline) expect(digestOfBytes(pointer.inline)).toBe(pointer.digest);
  }
}, 120_000);
