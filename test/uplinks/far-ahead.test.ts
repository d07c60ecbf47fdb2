/** Fetches into a cache that are far ahead of their readers give way to those that are waited for. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BlobSource } from "#blob/source.ts";
import { blobOf, type CountingSource, type TestBlob } from "#test/blob/faulty-sources.ts";
import { leaver, stageFetches, Taker, takeAll } from "#test/fetch/fetch-stage.ts";
import { gated } from "#test/fetch/gated-source.ts";
import { until } from "#test/support/until.ts";
import { inTurn } from "#uplinks/in-turn.ts";
import { Turns } from "#uplinks/turns.ts";

const MiB = 1024 * 1024;
const big = blobOf("far ahead", 20 * MiB);
const other = blobOf("waited for", 10 * MiB);
const stays = new AbortController().signal;
let turns: Turns;
let owned: AsyncDisposableStack;

beforeEach(() => {
  turns = new Turns({ size: 64 });
  owned = new AsyncDisposableStack();
});
afterEach(async () => {
  await owned.disposeAsync();
  expect([turns.running, turns.waiting]).toEqual([0, 0]);
});

function over(source: BlobSource): BlobSource {
  return inTurn(source, turns, { sizeBytes: undefined, prepare: async () => undefined }, () => true);
}

/** Has all of it, and counts what was taken. */
function counted({ bytes }: TestBlob): CountingSource & { sentBytes: number } {
  const source = {
    name: "ndn" as const,
    sentBytes: 0,
    openedAt: [] as number[],
    signals: [],
    async open(_blob: unknown, { offset }: { offset: number }) {
      source.openedAt.push(offset);
      return { sizeBytes: bytes.length, chunks: chunks(offset) };
    },
  };
  async function* chunks(from: number) {
    for (let at = from; at < bytes.length; at += MiB / 4) {
      source.sentBytes = Math.min(bytes.length, at + MiB / 4);
      yield bytes.subarray(at, source.sentBytes);
    }
  }
  return source;
}

/** Fetches, of which one is waited for by a reader that the path keeps waiting. */
async function stageOther(lingerMs?: number) {
  const stage = stageFetches({ lingerMs });
  owned.defer(() => stage.fetches.close());
  const wanted = gated(other, "ndn");
  wanted.allow(8 * MiB + 1);
  const reading = stage.fetches.read(other.ref, [over(wanted)], stays).then(takeAll);
  await until("the other to be read", () => turns.running === 1);
  return { ...stage, wanted, reading };
}

/** Until nothing more of it comes. */
async function paused(source: { readonly sentBytes: number }): Promise<number> {
  let before = -1;
  await until("the fetch to pause", () => {
    const hasStopped = source.sentBytes === before && turns.waiting === 1;
    before = source.sentBytes;
    return hasStopped;
  });
  return before;
}

test("a fetch stays about 1 MiB ahead of a slow reader while another blob is waited for, and ends it then", async () => {
  const { fetches, wanted, reading } = await stageOther();
  const source = counted(big);
  const taker = new Taker(await fetches.read(big.ref, [over(source)], stays));
  expect(await paused(source)).toBeLessThan(4 * MiB);
  await taker.until(6 * MiB);
  await until("it to continue", () => source.sentBytes > 6 * MiB);
  expect(await paused(source)).toBeLessThan(10 * MiB);
  wanted.allow(other.bytes.length);
  expect((await reading).digest).toBe(other.ref.digest);
  await until("all of it", () => source.sentBytes === big.bytes.length);
  expect((await taker.toEnd()).digest).toBe(big.ref.digest);
  expect(source.openedAt).toEqual([0]);
});

test("a new reader follows a fetch that has given way, and makes it continue", async () => {
  const { fetches, wanted, reading } = await stageOther();
  const source = counted(big);
  const slow = new Taker(await fetches.read(big.ref, [over(source)], stays));
  await paused(source);
  const fast = await fetches.read(big.ref, [over(counted(big))], stays);
  expect(fast.isFollower).toBe(true);
  expect((await takeAll(fast)).digest).toBe(big.ref.digest);
  wanted.allow(other.bytes.length);
  await Promise.all([reading, slow.toEnd()]);
  expect(source.openedAt).toEqual([0]);
});

test("a fetch without readers gives way, is not taken for a silent one, and has what it left when it is cancelled", async () => {
  const { fetches, store, wanted, reading } = await stageOther(3_000);
  const [source, reader] = [counted(big), leaver()];
  await fetches.read(big.ref, [over(source)], reader.signal);
  await paused(source);
  reader.leave();
  const leftMs = performance.now();
  await until("more than the 2 s of a silent fetch", () => turns.waiting === 1 && performance.now() > leftMs + 2_200);
  const again = await fetches.read(big.ref, [over(counted(big))], stays);
  expect(again.isFollower).toBe(true);
  wanted.allow(other.bytes.length);
  await Promise.all([reading, takeAll(again)]);
  expect(source.openedAt).toEqual([0]);
  expect(store.writes.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThanOrEqual(big.bytes.length);
});

test("one that is worth to be ended for no one gives way for as long as need be, and is ended", async () => {
  const { fetches, store, wanted, reading } = await stageOther(200);
  const [source, reader] = [counted(big), leaver()];
  const taker = new Taker(await fetches.read(big.ref, [over(source)], reader.signal));
  await taker.until(11 * MiB);
  await paused(source);
  reader.leave();
  const leftMs = performance.now();
  await until("it to give way for longer than it would stay when silent", () => performance.now() - leftMs > 1_000);
  expect(turns.waiting).toBe(1);
  wanted.allow(other.bytes.length);
  await reading;
  await until("it to be stored", () => store.has(big.ref.digest));
  expect(source.openedAt).toEqual([0]);
});

test("a reader that leaves while its fetch has given way ends it at once, and what is there stays", async () => {
  const { fetches, store, wanted, reading } = await stageOther(0);
  const [source, reader] = [counted(big), leaver()];
  await fetches.read(big.ref, [over(source)], reader.signal);
  const sent = await paused(source);
  reader.leave();
  const left = await until("its file to be closed", () => store.partial(big.ref.digest));
  expect([left.writtenBytes > sent / 2, turns.waiting]).toEqual([true, 0]);
  wanted.allow(other.bytes.length);
  await reading;
});

test("what is fetched ahead gives way, until a puller asks for it", async () => {
  const { fetches, wanted, reading } = await stageOther();
  const source = counted(big);
  const ahead = fetches.fetch({ blob: big.ref, sources: [over(source)], isAhead: true }, stays);
  await until("it to wait", () => turns.waiting === 1);
  expect(source.openedAt).toEqual([]);
  const puller = await fetches.read(big.ref, [over(counted(big))], stays);
  expect((await takeAll(puller)).digest).toBe(big.ref.digest);
  expect((await takeAll((await ahead)!)).digest).toBe(big.ref.digest);
  wanted.allow(other.bytes.length);
  await reading;
});
