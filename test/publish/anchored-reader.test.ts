import { afterAll, beforeAll, expect, test } from "vitest";
import { NdnSource } from "#blob/ndn-source.ts";
import { fromStart } from "#blob/source.ts";
import { TrustAnchors } from "#ndn/trust/anchors.ts";
import { certificateFetcher } from "#ndn/trust/certificate-fetcher.ts";
import { createVerifier } from "#ndn/trust/verifier.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { makeIdentity, type TestIdentity } from "./identity.ts";
import { repository } from "./lists.ts";
import { prefix, type Reader, serve } from "./serving.ts";

let registry: TestRegistry;
let identity: TestIdentity;
beforeAll(async () => {
  registry = await startRegistry();
  identity = await makeIdentity(prefix);
});
afterAll(() => registry.close());

/** Read a part of a blob as a puller with this anchor; how many packets were wrong or not believed is in `refused`. */
async function readWith(anchor: string, { interests, consumer }: Reader, sizeBytes: number, part?: [number, number]) {
  const bytes = patternBlob(sizeBytes);
  const digest = registry.addBlob(repository, bytes);
  const verifier = createVerifier({
    anchors: TrustAnchors.load([anchor]),
    prefix,
    fetchCertificate: certificateFetcher(interests),
  });
  let refused = 0;
  const events = { untrusted: () => void refused++, wrong: () => void refused++ };
  const source = new NdnSource(prefix, interests, consumer, { verifier, events });
  const [from, end] = part ?? [0, sizeBytes];
  const resume = part ? { offset: from, end } : fromStart;
  const all: Buffer[] = [];
  const { chunks } = await source.open({ repository, digest }, resume, AbortSignal.timeout(10_000));
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  // A source may end behind what is wanted, with the segment that has the last of it.
  return {
    isRight: Buffer.concat(all)
      .subarray(0, end - from)
      .equals(bytes.subarray(from, end)),
    refused,
  };
}

test.each([
  [0, 8192],
  [1, 8192],
  [131_073, 8192],
  [6_000_000, 8192],
  [700_000, 1200],
] as const)("a puller that trusts the server gets %d bytes in segments of %d, each compared", async (size, chunk) => {
  await using serving = await serve(registry, { identity, segmentBytes: chunk });
  expect(await readWith(identity.digest, serving.reader(), size)).toEqual({ isRight: true, refused: 0 });
});

test.each([8192, 1200] as const)(
  "a part begins and ends anywhere in and between segments of %d bytes",
  async (chunk) => {
    await using serving = await serve(registry, { identity, segmentBytes: chunk });
    const reader = serving.reader();
    for (const size of [0, 1, chunk, 3 * chunk, 40 * chunk + 5]) {
      const edges = [0, 1, chunk - 1, chunk, chunk + 1, 32 * chunk, size - 1, size].filter(
        (at) => at >= 0 && at <= size,
      );
      for (const start of edges) {
        for (const end of edges.filter((at) => at >= start)) {
          const read = await readWith(identity.digest, reader, size, [start, end]);
          expect([size, start, end, read]).toEqual([size, start, end, { isRight: true, refused: 0 }]);
        }
      }
    }
  },
);

test("a puller that trusts somebody else gets nothing", async () => {
  await using serving = await serve(registry, { identity });
  const other = await makeIdentity(prefix);
  await expect(readWith(other.digest, serving.reader(), 100_000)).rejects.toThrow();
});
