import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { metadataName, objectName, parseBlobName, repositoryName, type SegmentSize } from "#blob/names.ts";
import { NdnSource } from "#blob/ndn-source.ts";
import { type BlobRef, fromStart, type ResumePoint } from "#blob/source.ts";
import { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import { InterestClient } from "#ndn/consumer/interest-client.ts";
import type { Face } from "#ndn/face/face.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { encodeInterest } from "#ndn/packet/interest.ts";
import { joinName, nameKey, segment } from "#ndn/packet/name.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { digestOfHash } from "#oci/reference.ts";
import { prefix, type Serving, serve } from "#test/publish/serving.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";

const repository = "team/app";
let registry: TestRegistry;
let owned: AsyncDisposableStack;

beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.close());
beforeEach(() => {
  owned = new AsyncDisposableStack();
});
afterEach(() => owned.disposeAsync());

/** What the server was asked, in order: `metadata`, or the number of a segment and its size. */
class Tap {
  readonly asked: string[] = [];
  /** Whether metadata is asked for in vain. */
  isHeld = false;
  readonly #held = new Map<string, () => void>();
  readonly #serving: Serving;

  constructor(serving: Serving) {
    this.#serving = serving;
  }

  accept(view: PacketView, face: Face): boolean {
    const name = Buffer.from(view.buf.subarray(view.nameStart, view.nameEnd));
    const request = parseBlobName(prefix, name);
    if (this.#held.has(nameKey(name))) return true; // again
    this.asked.push(request?.kind === "segment" ? `${request.number} of ${request.size}` : (request?.kind ?? "?"));
    if (request?.kind !== "metadata" || !this.isHeld) return this.#serving.server.producer.accept(view, face);
    const packet = Buffer.from(view.buf.subarray(view.start, view.end));
    this.#held.set(nameKey(name), () => {
      const again = new PacketView();
      if (again.read(packet, 0, packet.length)) this.#serving.server.producer.accept(again, face);
    });
    return true;
  }

  release(): void {
    this.isHeld = false;
    for (const pass of this.#held.values()) pass();
    this.#held.clear();
  }

  segments(size: SegmentSize): number[] {
    return this.asked.filter((one) => one.endsWith(` of ${size}`)).map((one) => Number.parseInt(one, 10));
  }
}

async function connected(segmentBytes: SegmentSize = 8192, exclude: readonly string[] = []) {
  const serving = owned.use(await serve(registry, { segmentBytes, exclude }));
  const tap = new Tap(serving);
  const uplink = new MemoryUplink(tap);
  owned.defer(() => uplink.close());
  const consumer = new SegmentConsumer(uplink, { maxWindow: 512 });
  uplink.addHandler(consumer);
  const source = new NdnSource(prefix, new InterestClient(uplink), consumer);
  uplink.open();
  const read = async (blob: BlobRef, from: ResumePoint, signal = AbortSignal.timeout(10_000)) => {
    const { chunks } = await source.open(blob, from, signal);
    const all: Buffer[] = [];
    for await (const chunk of chunks) all.push(Buffer.from(chunk));
    return Buffer.concat(all);
  };
  return { serving, tap, uplink, consumer, source, read };
}

function blobOf(sizeBytes: number, seed = 0) {
  const bytes = patternBlob(sizeBytes, seed);
  return { bytes, blob: { repository, digest: registry.addBlob(repository, bytes) } };
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

test("the first segments come while the metadata is still on its way, and are not asked for again", async () => {
  const { tap, consumer, read } = await connected();
  const { bytes, blob } = blobOf(1_000_000);
  tap.isHeld = true;
  const reading = read(blob, fromStart);
  await until("the first segments", () => consumer.counters.segments === 16);
  expect(tap.asked).toEqual(["metadata", ...range(0, 16).map((n) => `${n} of 8192`)]);
  expect(consumer.inflight).toBe(0);
  tap.release();
  expect((await reading).equals(bytes)).toBe(true);
  expect(tap.segments(8192)).toEqual(range(0, 123));
});

test.each([
  ["of a blob of one segment, that one", 100, { ...fromStart, sizeBytes: 100 }, [0]],
  ["of an empty blob, its one segment", 0, { ...fromStart, sizeBytes: 0 }, [0]],
  ["of one with five segments, these", 40_000, { ...fromStart, sizeBytes: 40_000 }, range(0, 5)],
  ["of the rest of a blob, those from its first byte on", 1_000_000, { offset: 500_000 }, range(61, 77)],
  ["of a part, those that it lies in", 1_000_000, { offset: 8_191, end: 16_385 }, range(0, 3)],
  ["of the last byte, one", 1_000_000, { offset: 999_999, sizeBytes: 1_000_000 }, [122]],
] as const)("%s is asked for with the metadata", async (_, sizeBytes, from, segments) => {
  const { tap, read } = await connected();
  const { bytes, blob } = blobOf(sizeBytes);
  tap.isHeld = true;
  const reading = read(blob, from);
  await until("the Interests", () => tap.asked.length === 1 + segments.length);
  expect(tap.segments(8192)).toEqual(segments);
  tap.release();
  const end = "end" in from ? from.end! : sizeBytes;
  const result = await reading;
  expect(result.subarray(0, end - from.offset).equals(bytes.subarray(from.offset, end))).toBe(true);
});

test("for the size alone nothing but metadata is asked", async () => {
  const { tap, source } = await connected();
  const { blob } = blobOf(1_000);
  const { sizeBytes } = await source.open(blob, { offset: 0, end: 0 }, AbortSignal.timeout(5_000));
  expect([sizeBytes, tap.asked]).toEqual([1_000, ["metadata"]]);
});

test("where metadata says another size of segments, those are asked for, and early with the next blob", async () => {
  const { tap, consumer, read } = await connected(1200);
  const one = blobOf(100_000, 1);
  expect((await read(one.blob, fromStart)).equals(one.bytes)).toBe(true);
  expect(tap.segments(1200)).toEqual(range(0, 84));
  tap.asked.length = 0;
  tap.isHeld = true;
  const other = blobOf(100_000, 2);
  const reading = read(other.blob, fromStart);
  await until("the Interests", () => tap.asked.length === 17);
  tap.release();
  expect((await reading).equals(other.bytes)).toBe(true);
  expect(tap.segments(8192)).toEqual([]);
  expect(consumer.inflight).toBe(0);
});

test.each(["the server does not have it", "the puller leaves", "the face goes down"])(
  "when %s nothing is kept, and no place in the window taken",
  async (how) => {
    const { tap, uplink, consumer, read } = await connected();
    const left = new AbortController();
    const blob = { repository, digest: digestOfHash(Buffer.alloc(32, how.length)) };
    tap.isHeld = how !== "the server does not have it";
    const reading = read(blob, fromStart, left.signal);
    reading.catch(() => {}); // it is looked at below
    await until("the Interests", () => tap.asked.length === 17);
    if (how === "the puller leaves") left.abort(new Error("left"));
    if (how === "the face goes down") uplink.close();
    await expect(reading).rejects.toThrow();
    expect(consumer.inflight).toBe(0);
  },
);

test("many blobs at once have no more early Interests on the path than the window, and one each", async () => {
  const { tap, consumer, read } = await connected();
  const blobs = range(0, 64).map((n) => blobOf(200_000, n));
  tap.isHeld = true;
  const reading = blobs.map(({ blob }) => read(blob, fromStart));
  await until("the metadata's Interests", () => tap.asked.filter((one) => one === "metadata").length === 64);
  expect(tap.segments(8192).length).toBeLessThanOrEqual(consumer.path.control.size + 64);
  tap.release();
  for (const [i, bytes] of (await Promise.all(reading)).entries()) expect(bytes.equals(blobs[i]!.bytes)).toBe(true);
});

/** Ask for a blob as the client does, and forget it. */
function askFor({ face }: MemoryUplink, { repository, digest }: BlobRef): void {
  const metadata = metadataName(prefix, repository, digest);
  face!.send(encodeInterest(metadata, { canBePrefix: true, mustBeFresh: true }));
  const forwardingHint = repositoryName(prefix, repository);
  for (const n of range(0, 16)) {
    face!.send(encodeInterest(joinName(objectName(prefix, digest, 8192), segment(n)), { forwardingHint }));
  }
}

test("a blob that is asked for so is opened with one request", async () => {
  const { serving, uplink } = await connected();
  const { blob } = blobOf(20_000, 7);
  registry.requests.length = 0;
  askFor(uplink, blob);
  await until("the segments that it has", () => serving.server.producer.counters.segmentsSent === 3);
  expect(registry.requests).toHaveLength(1);
});

test("of blobs that are not there each costs one request, and counts once", async () => {
  const { uplink } = await connected();
  registry.requests.length = 0;
  for (let asked = 0; asked < 450; asked += 50) {
    for (const n of range(asked, asked + 50)) {
      askFor(uplink, { repository, digest: digestOfHash(Buffer.alloc(32, `${n} is not there`)) });
    }
    await until("the requests", () => registry.requests.length === asked + 50);
  }
  expect(new Set(registry.requests.map(({ url }) => url)).size).toBe(450);
});

test("of repositories that are not published the registry is asked nothing", async () => {
  const { serving, uplink } = await connected(8192, ["team/secret"]);
  const bytes = patternBlob(20_000, 8);
  const secret = { repository: "team/secret", digest: registry.addBlob("team/secret", bytes) };
  registry.requests.length = 0;
  askFor(uplink, secret);
  const { blob } = blobOf(100, 9);
  askFor(uplink, blob);
  await until("the answer to what was asked next", () => serving.server.producer.counters.segmentsSent === 1);
  expect(registry.requests).toHaveLength(1);
});
