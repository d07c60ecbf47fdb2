import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { type FallbackRead, openWithFallback } from "#blob/fallback.ts";
import { BlobCorrupt, type BlobSource, BlobUnavailable } from "#blob/source.ts";
import { blobOf, breaksAfter, collect, corrupt, holds, stalls, unavailable, wrongSize } from "./faulty-sources.ts";

const blob = blobOf("fallback", 300_000);
const never = new AbortController().signal;

async function bytesOf(read: FallbackRead): Promise<Buffer> {
  return Buffer.concat((await collect(read.chunks)).map(({ bytes }) => bytes));
}

test("the second source resumes at the byte where the first broke off", async () => {
  const solid = holds(blob, "upstream");
  const read = await openWithFallback([breaksAfter(100_001, blob), solid], blob.ref, never);
  const chunks = await collect(read.chunks);
  expect(Buffer.concat(chunks.map(({ bytes }) => bytes)).equals(blob.bytes)).toBe(true);
  expect(solid.openedAt).toEqual([100_001]);
  const fromNdn = chunks.filter(({ source }) => source === "ndn");
  expect(fromNdn.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(100_001);
  expect([read.source, ...read.contributors]).toEqual(["ndn", "ndn", "upstream"]);
});

test("the next source learns the hash of what is already there", async () => {
  const seen: string[] = [];
  const second: BlobSource = {
    name: "upstream",
    open: (ref, from, signal) => {
      seen.push(from.prefixSha256!().toString("hex"));
      return holds(blob).open(ref, from, signal);
    },
  };
  await bytesOf(await openWithFallback([breaksAfter(70_000, blob), second], blob.ref, never));
  expect(seen).toEqual([createHash("sha256").update(blob.bytes.subarray(0, 70_000)).digest("hex")]);
});

test("a source that cannot begin is passed over, and so is one that knows it is wrong", async () => {
  const reported: string[] = [];
  const read = await openWithFallback([unavailable(), corrupt(), holds(blob, "upstream")], blob.ref, never, {
    unavailable: (source) => reported.push(`${source} unavailable`),
    corrupt: (source) => reported.push(`${source} corrupt`),
  });
  expect(read.source).toBe("upstream");
  expect((await bytesOf(read)).equals(blob.bytes)).toBe(true);
  expect(reported).toEqual(["ndn unavailable", "ndn corrupt"]);
});

test("when every source stopped, the error says where and why", async () => {
  const read = await openWithFallback([breaksAfter(5, blob), unavailable("upstream")], blob.ref, never);
  const err: unknown = await bytesOf(read).catch((reason: unknown) => reason);
  expect(err).toBeInstanceOf(BlobUnavailable);
  expect((err as BlobUnavailable).message).toContain("byte 5");
  expect(((err as BlobUnavailable).cause as AggregateError).errors).toHaveLength(2);
});

test("a second source with another size is no continuation, and its read is cancelled", async () => {
  const other = wrongSize(299_999, blob, "upstream");
  const suspects: string[] = [];
  const events = { corrupt: (source: string) => suspects.push(source) };
  const read = await openWithFallback([breaksAfter(5, blob), other], blob.ref, never, events);
  await expect(bytesOf(read)).rejects.toThrow(BlobCorrupt);
  expect(other.signals[0]?.aborted).toBe(true);
  expect(suspects).toEqual(["upstream", "ndn"]);
});

test("when the next source finds other bytes than those that are out, both are suspects", async () => {
  const suspects: string[] = [];
  const proves: BlobSource = {
    name: "upstream",
    open: () => Promise.reject(new BlobCorrupt("the first bytes are not those that were sent")),
  };
  const events = { corrupt: (source: string) => suspects.push(source) };
  const read = await openWithFallback([breaksAfter(5, blob), proves], blob.ref, never, events);
  await expect(bytesOf(read)).rejects.toThrow(BlobCorrupt);
  expect(suspects).toEqual(["upstream", "ndn"]);
});

test("a wrong size that was said before any byte makes its source the suspect", async () => {
  const suspects: string[] = [];
  const events = { corrupt: (source: string) => suspects.push(source) };
  const liar = breaksAfter(0, { ...blob, bytes: Buffer.alloc(17) });
  const read = await openWithFallback([liar, holds(blob, "upstream")], blob.ref, never, events);
  await expect(bytesOf(read)).rejects.toThrow(BlobCorrupt);
  expect(suspects).toEqual(["upstream", "ndn"]);
});

test("more bytes than the size says never come out", async () => {
  const read = await openWithFallback([wrongSize(200_000, blob)], blob.ref, never);
  await expect(bytesOf(read)).rejects.toThrow(BlobCorrupt);
});

test("an abort is not a failure: no other source is asked", async () => {
  const [reader, solid] = [new AbortController(), holds(blob, "upstream")];
  const read = await openWithFallback([stalls(10, blob), solid], blob.ref, reader.signal);
  const reading = bytesOf(read);
  reader.abort(new Error("reader left"));
  await expect(reading).rejects.toThrow("reader left");
  expect(solid.openedAt).toEqual([]);
});

test("an empty blob ends at once", async () => {
  const empty = blobOf("empty", 0);
  const read = await openWithFallback([holds(empty)], empty.ref, never);
  expect(await bytesOf(read)).toHaveLength(0);
});
