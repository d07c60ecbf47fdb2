import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createBandwidth, limited, limitedStream } from "#blob/bandwidth.ts";
import { fromStart } from "#blob/source.ts";
import { timesOf } from "#test/base/times-of.ts";
import { blobOf, holds } from "#test/blob/faulty-sources.ts";

const mebi = 1024 * 1024;
const never = new AbortController().signal;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

async function read(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const chunk of chunks) pieces.push(Buffer.from(chunk));
  return Buffer.concat(pieces);
}

test("without a limit there is no bandwidth, and a stream is the same stream", () => {
  const chunks = read as unknown as AsyncIterable<Buffer>;
  expect(limitedStream(chunks, createBandwidth(undefined), never)).toBe(chunks);
});

test("a quarter of a second's worth passes at once, then the rate holds", async () => {
  const bandwidth = createBandwidth(8 * mebi)!;
  const pieces = Array.from({ length: 10 }, () => bandwidth.take(mebi, never));
  expect(await timesOf(pieces, 2_000)).toEqual([0, 0, 125, 250, 375, 500, 625, 750, 875, 1000]);
});

test("a slow limit still lets a mebibyte through at once", async () => {
  const bandwidth = createBandwidth(1024)!;
  expect(await timesOf([bandwidth.take(mebi, never), bandwidth.take(1024, never)], 2_000)).toEqual([0, 1000]);
});

test("a limited source gives the same bytes from the same place, in time", async () => {
  const blob = blobOf("limited", 3 * mebi);
  const source = limited(holds(blob), createBandwidth(mebi)!);
  const { sizeBytes, chunks } = await source.open(blob.ref, { ...fromStart, offset: 5 }, never);
  const began = performance.now();
  const all = read(chunks).then((bytes) => ({ bytes, ms: performance.now() - began }));
  await vi.advanceTimersByTimeAsync(5_000);
  const { bytes, ms } = await all;
  expect([source.name, sizeBytes]).toEqual(["ndn", 3 * mebi]);
  expect(bytes.equals(blob.bytes.subarray(5))).toBe(true);
  expect(ms).toBeGreaterThan(1_900);
  expect(ms).toBeLessThan(2_100);
});

test("an abort ends a limited read that waits, and the read below it", async () => {
  let isEnded = false;
  const chunks = (async function* () {
    try {
      for (;;) yield Buffer.alloc(mebi);
    } finally {
      isEnded = true;
    }
  })();
  const gone = new AbortController();
  const all = read(limitedStream(chunks, createBandwidth(1024), gone.signal));
  const ended = expect(all).rejects.toThrow("gone");
  await vi.advanceTimersByTimeAsync(100);
  gone.abort(new Error("gone"));
  await ended;
  expect(isEnded).toBe(true);
});

test.each([true, false, undefined])("a limited source is as verified as the one below it: %s", (isVerified) => {
  const below = { ...holds(blobOf("verified", 10), "peer"), isVerified };
  expect(limited(below, createBandwidth(mebi)!)).toMatchObject({ name: "peer", isVerified });
});
