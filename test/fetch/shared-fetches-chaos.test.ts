/** Readers come and go, sources break off and disks fill up, in an order that only the seed knows. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import type { BlobSource } from "#blob/source.ts";
import { collectBytes } from "#blob/verify.ts";
import { blobOf, breaksAfter, holds, unavailable, wrongBytes } from "#test/blob/faulty-sources.ts";
import { until } from "#test/support/until.ts";
import { filesClosed, leaver, stageFetches, Taker } from "./fetch-stage.ts";

const big = blobOf("shared chaos", collectBytes + 500_000);
const size = big.bytes.length;

/** The same numbers for the same seed, in `[0, 1)`. */
function randomOf(seed: number): () => number {
  let count = 0;
  return () => createHash("sha256").update(`${seed} ${count++}`).digest().readUInt32BE() / 2 ** 32;
}

function sourceBy(chance: number, offset: number): [kind: "good" | "breaks" | "wrong" | "none", BlobSource] {
  if (chance < 0.4) return ["good", holds(big)];
  if (chance < 0.7) return ["breaks", breaksAfter(offset, big)];
  if (chance < 0.8) return ["wrong", wrongBytes(big)];
  return ["none", unavailable()];
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
}

test.each(Array.from({ length: 12 }, (_, seed) => seed))(
  "a reader that reads to the end has the blob (seed %i)",
  async (seed) => {
    const { store, fetches } = stageFetches();
    const random = randomOf(seed);
    const upTo = (limit: number) => Math.floor(random() * limit);
    if (random() < 0.4) store.roomBytes = upTo(size);
    if (random() < 0.1) store.isFull = true;
    store.pieceBytes = 1 + upTo(400_000);
    const readers = Array.from({ length: 8 }, () => {
      const [kind, source] = sourceBy(random(), upTo(size));
      return {
        kind,
        source,
        delay: upTo(60),
        leavesAt: random() < 0.4 ? upTo(size) : Infinity,
        leavesEarly: random() < 0.1,
        turnsPerChunk: random() < 0.5 ? 0 : upTo(12),
      };
    });
    const results = await Promise.all(
      readers.map(async ({ source, delay, leavesAt, leavesEarly, turnsPerChunk }) => {
        await turns(delay);
        const { signal, leave } = leaver();
        try {
          const pending = fetches.read(big.ref, [source], signal);
          if (leavesEarly) leave();
          const taker = new Taker(await pending, () => turns(turnsPerChunk));
          if (leavesAt < size) {
            await taker.until(leavesAt);
            leave();
          }
          return await taker.toEnd();
        } catch (error: unknown) {
          leave();
          return { error, bytes: 0, digest: "" };
        }
      }),
    );
    const isCalm = store.roomBytes > size && !readers.some(({ kind }) => kind === "wrong");
    for (const [index, { error, bytes, digest }] of results.entries()) {
      const { kind, leavesAt, leavesEarly } = readers[index]!;
      // Whatever the others do: with good sources of one's own, and no wrong bytes about, nothing fails.
      if (isCalm && kind === "good" && leavesAt > size && !leavesEarly) expect(error).toBeUndefined();
      if (error === undefined) expect([bytes, digest]).toEqual([size, big.ref.digest]);
      else expect(bytes).toBeLessThan(size + 1);
    }
    await filesClosed(store);
    await until("all fetches to end", () => [...fetches.progress()].length === 0);
    expect([...store.blobs.values()].every((bytes) => bytes.equals(big.bytes))).toBe(true);
  },
);
