import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { RunningHash } from "#blob/running-hash.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { until } from "#test/support/until.ts";

const bytes = randomBytesOf("hash", 3_000_000);

function shared(piece: Uint8Array): Buffer {
  const memory = Buffer.from(new SharedArrayBuffer(piece.length));
  memory.set(piece);
  return memory;
}

function sha256(prefix: number): string {
  return createHash("sha256").update(bytes.subarray(0, prefix)).digest("hex");
}

/** Until long blobs in shared memory are hashed by the other thread. */
async function threadIsUp(): Promise<void> {
  await until("the thread", () => {
    const probe = new RunningHash();
    const isRemote = probe.update(shared(Buffer.alloc(1)), true) !== undefined;
    probe.end();
    return isRemote;
  });
}

test.each([
  ["in memory of the thread's own", true, false],
  ["in shared memory, short", false, true],
  ["in shared memory, long", true, true],
])("bytes %s: the digest of what came so far, at any time", async (_, isLong, isShared) => {
  await threadIsUp();
  const hash = new RunningHash();
  expect((await hash.digest()).toString("hex")).toBe(sha256(0));
  for (let at = 0; at < bytes.length; at += 250_000) {
    const piece = bytes.subarray(at, at + 250_000);
    const memory = isShared ? shared(piece) : Buffer.from(piece);
    await hash.update(memory, isLong);
    memory.fill(0); // it may be used again
    expect((await hash.digest()).toString("hex")).toBe(sha256(at + 250_000));
  }
  hash.end();
});

test("many blobs at once do not get into each other's way", async () => {
  await threadIsUp();
  const hashes = Array.from({ length: 20 }, () => new RunningHash());
  const piece = shared(bytes.subarray(0, 1000));
  for (let round = 1; round <= 10; round++) {
    await Promise.all(hashes.map((hash, i) => hash.update(piece.subarray(0, i + 1), true)));
  }
  for (const [i, hash] of hashes.entries()) {
    const expected = createHash("sha256").update(
      Buffer.concat(Array.from({ length: 10 }, () => bytes.subarray(0, i + 1))),
    );
    expect((await hash.digest()).toString("hex")).toBe(expected.digest("hex"));
    hash.end();
  }
});

test("a blob that goes on from other memory keeps its hash", async () => {
  await threadIsUp();
  const hash = new RunningHash();
  await hash.update(shared(bytes.subarray(0, 1000)), true);
  await hash.update(Buffer.from(bytes.subarray(1000, 2000)), true);
  expect((await hash.digest()).toString("hex")).toBe(sha256(2000));
  hash.end();
});
