import { expect, test } from "vitest";
import { BlobCorrupt, type BlobSource } from "#blob/source.ts";
import { collectBytes, openVerified, type VerifiedRead } from "#blob/verify.ts";
import { blobOf, breaksAfter, holds, unavailable, waitsFor, wrongBytes, wrongSize } from "./faulty-sources.ts";

const small = blobOf("small", 200_000);
const big = blobOf("big", collectBytes + 100_000);
const never = new AbortController().signal;

async function bytesOf(read: VerifiedRead, into: Uint8Array[] = []): Promise<Buffer> {
  for await (const { bytes } of read.chunks) into.push(bytes);
  return Buffer.concat(into);
}

test("a small blob with wrong bytes is replaced by the next source before the first byte is given out", async () => {
  const distrusted: string[] = [];
  const read = await openVerified([wrongBytes(small), holds(small, "upstream")], small.ref, never, {
    corrupt: (source) => distrusted.push(source),
  });
  expect(read.source).toBe("upstream");
  expect((await bytesOf(read)).equals(small.bytes)).toBe(true);
  expect(distrusted).toEqual(["ndn"]);
});

test("a small blob whose first part was wrong is read again from the source that had continued it", async () => {
  const wrong = { ...small, bytes: Buffer.from(small.bytes).fill(0, 0, 10) };
  const upstream = holds(small, "upstream");
  const read = await openVerified([breaksAfter(1_000, wrong), upstream], small.ref, never);
  expect((await bytesOf(read)).equals(small.bytes)).toBe(true);
  expect(upstream.openedAt).toEqual([1_000, 0]);
});

test("a small blob that claims another size is replaced too", async () => {
  const read = await openVerified([wrongSize(17, small), holds(small, "upstream")], small.ref, never);
  expect((await bytesOf(read)).equals(small.bytes)).toBe(true);
});

test("a small blob whose first source said another size and sent nothing comes from the next", async () => {
  const first = { ...small, bytes: small.bytes.subarray(0, 1_000) };
  const read = await openVerified([breaksAfter(0, first), holds(small, "upstream")], small.ref, never);
  expect((await bytesOf(read)).equals(small.bytes)).toBe(true);
});

test("a big blob never has another size than was said, although nothing of it was sent yet", async () => {
  const first = { ...big, bytes: big.bytes.subarray(0, -1_000) };
  const read = await openVerified([breaksAfter(0, first), holds(big, "upstream")], big.ref, never);
  const got: Uint8Array[] = [];
  await expect(bytesOf(read, got)).rejects.toThrow(BlobCorrupt);
  expect([read.sizeBytes, got]).toEqual([first.bytes.length, []]);
});

test("a small blob that no source has right is an error", async () => {
  await expect(openVerified([wrongBytes(small), wrongBytes(small, "upstream")], small.ref, never)).rejects.toThrow(
    BlobCorrupt,
  );
});

test("a source that is listed twice is asked no more than twice, also when its first answer was a failure", async () => {
  const [down, wrong] = [unavailable("upstream"), wrongBytes(small, "upstream")];
  let opened = 0;
  const twice: BlobSource = { name: "upstream", open: (...args) => (opened++ === 0 ? down : wrong).open(...args) };
  await expect(openVerified([twice, twice], small.ref, never)).rejects.toThrow(BlobCorrupt);
  expect(opened).toBe(2);
});

test("a big blob flows before its end is there, and its last bytes stay back when the digest is wrong", async () => {
  const [given, distrusted]: [Uint8Array[], string[]] = [[], []];
  const read = await openVerified([wrongBytes(big), holds(big, "upstream")], big.ref, never, {
    corrupt: (source) => distrusted.push(source),
  });
  await expect(bytesOf(read, given)).rejects.toThrow(BlobCorrupt);
  const sizeBytes = given.reduce((sum, { length }) => sum + length, 0);
  expect(sizeBytes).toBeGreaterThan(collectBytes);
  expect(sizeBytes).toBeLessThan(big.bytes.length);
  expect(distrusted).toEqual(["ndn"]);
});

test("a big blob is open before its first byte arrives", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const read = await openVerified([waitsFor(promise, big)], big.ref, never);
  expect(read.sizeBytes).toBe(big.bytes.length);
  resolve();
  expect((await bytesOf(read)).equals(big.bytes)).toBe(true);
});

test("an empty blob is right, and one that claims to be empty is not", async () => {
  const empty = blobOf("empty", 0);
  expect(await bytesOf(await openVerified([holds(empty)], empty.ref, never))).toHaveLength(0);
  const read = await openVerified([wrongSize(0, { ...small, bytes: empty.bytes }), holds(small)], small.ref, never);
  expect((await bytesOf(read)).equals(small.bytes)).toBe(true);
});
