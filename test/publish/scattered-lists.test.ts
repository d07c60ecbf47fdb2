import { afterAll, beforeAll, expect, test } from "vitest";
import { forEachBounded } from "#base/limits.ts";
import { digestListOf, digestListRange } from "#blob/names.ts";
import { NdnSource } from "#blob/ndn-source.ts";
import { TrustAnchors } from "#ndn/trust/anchors.ts";
import { certificateFetcher } from "#ndn/trust/certificate-fetcher.ts";
import { createVerifier } from "#ndn/trust/verifier.ts";
import type { Digest } from "#oci/reference.ts";
import { pageBytes } from "#publish/page-memory.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { below, seededRandom } from "#test/support/seeded-random.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { makeIdentity, type TestIdentity } from "./identity.ts";
import { repository } from "./lists.ts";
import { prefix, type Serving, serve } from "./serving.ts";

const segmentBytes = 8192;
const blobBytes = 20_000_000;
const blobCount = 5;
const partCount = 15;
const partBytes = 1_000_000;
/** What opening a blob reads, which are its first pages: parts lie behind them. */
const openingBytes = 4 * pageBytes;
/** The server sets 16 MiB of its memory aside for faces. */
const memoryOf = (pagesBytes: number) => 16 * 1024 * 1024 + pagesBytes;

interface Part {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly start: number;
}

let registry: TestRegistry;
let identity: TestIdentity;
let parts: readonly Part[];
beforeAll(async () => {
  registry = await startRegistry();
  identity = await makeIdentity(prefix);
  const random = seededRandom(7);
  const blobs = Array.from({ length: blobCount }, (_, n) => patternBlob(blobBytes, n));
  parts = Array.from({ length: partCount }, (_, n) => {
    const bytes = blobs[n % blobCount]!;
    const start = 2 * openingBytes + below(random, blobBytes - partBytes - 2 * openingBytes);
    return { bytes, digest: registry.addBlob(repository, bytes), start };
  });
});
afterAll(() => registry.close());

/** The digest lists of the parts, each once, and their bytes of the blobs. */
function listsOfParts(): { count: number; bytes: number } {
  const lastSegment = Math.ceil(blobBytes / segmentBytes) - 1;
  const lists = new Map<string, number>();
  for (const { digest, start } of parts) {
    for (const at of [start, start + partBytes - 1]) {
      const list = digestListOf(Math.floor(at / segmentBytes));
      const range = digestListRange(list, lastSegment);
      lists.set(`${list} of ${digest}`, (range.end - range.start) * segmentBytes);
    }
  }
  return { count: lists.size, bytes: lists.values().reduce((sum, bytes) => sum + bytes, 0) };
}

/** Read all parts, some at a time, as a puller that compares each packet. @returns what the registry was asked for that */
async function readParts(serving: Serving): Promise<{ gets: number; bytes: number }> {
  const { interests, consumer } = serving.reader();
  const anchors = TrustAnchors.load([identity.digest]);
  const verifier = createVerifier({ anchors, prefix, fetchCertificate: certificateFetcher(interests) });
  const source = new NdnSource(prefix, interests, consumer, { verifier, events: {} });
  const [gets, sent] = [registry.requests.length, registry.bytesSent];
  await forEachBounded(parts, 5, async ({ bytes, digest, start }) => {
    const blob = { repository, digest };
    const until = { offset: start, end: start + partBytes };
    const { chunks } = await source.open(blob, until, AbortSignal.timeout(20_000));
    const read: Buffer[] = [];
    for await (const chunk of chunks) read.push(Buffer.from(chunk));
    const isRight = Buffer.concat(read)
      .subarray(0, partBytes)
      .equals(bytes.subarray(start, start + partBytes));
    expect(isRight).toBe(true);
  });
  return { gets: registry.requests.length - gets, bytes: registry.bytesSent - sent };
}

test("for parts at random places the registry sends what their digest lists cover once, in a request for each", async () => {
  await using serving = await serve(registry, { identity, memoryBytes: memoryOf(128e6) });
  const lists = listsOfParts();
  const read = await readParts(serving);
  expect(read.bytes).toBeLessThan(1.1 * (lists.bytes + blobCount * openingBytes));
  expect(read.gets).toBeLessThanOrEqual(1.5 * lists.count + blobCount);
  expect(await readParts(serving)).toEqual({ gets: 0, bytes: 0 });
});

test("parts that do not fit into the memory together, with the lists around them, are read all the same", async () => {
  await using serving = await serve(registry, { identity, memoryBytes: memoryOf(8e6) });
  const lists = listsOfParts();
  expect((await readParts(serving)).bytes).toBeLessThan(2 * (lists.bytes + blobCount * openingBytes));
});

test("with a state directory, too, for the lists that are not in it", async () => {
  await using folder = await makeTemporaryFolder();
  const lists = listsOfParts();
  await using serving = await serve(registry, {
    identity,
    memoryBytes: memoryOf(128e6),
    stateDirectory: folder.path,
  });
  expect((await readParts(serving)).gets).toBeLessThanOrEqual(1.5 * lists.count + blobCount);
});
