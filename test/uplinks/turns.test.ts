import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BlobUnavailable } from "#blob/source.ts";
import type { Turn, TurnWish } from "#uplinks/turn.ts";
import { Turns } from "#uplinks/turns.ts";

const KiB = 1024;
const large: TurnWish = { sizeBytes: 10_000 * KiB };
const small: TurnWish = { sizeBytes: 10 * KiB };
const never = new AbortController().signal;
let turns: Turns;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  turns = new Turns({ size: 64 });
});
afterEach(() => {
  expect(turns.running + turns.waiting > 1 || vi.getTimerCount() === 0).toBe(true);
  vi.useRealTimers();
});

/** A read that wants a turn, and what has come of it. */
interface Read {
  readonly abort: AbortController;
  turn?: Turn;
  failure?: unknown;
}

function read(wish: TurnWish = large): Read {
  const one: Read = { abort: new AbortController() };
  turns.take({ ...wish }, one.abort.signal).then(
    (turn) => {
      one.turn = turn;
    },
    (err: unknown) => {
      one.failure = err;
    },
  );
  return one;
}

function reads(count: number, wish: TurnWish = large): Read[] {
  return Array.from({ length: count }, () => read(wish));
}

/** What has been promised is done, and so much time is over. */
async function pass(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** How many of these have had their turn. */
function begun(all: readonly Read[]): number {
  return all.filter(({ turn }) => turn).length;
}

/** A read that has opened and waits for its next piece. */
async function opened(one: Read, sizeBytes = large.sizeBytes!): Promise<Turn> {
  await pass();
  one.turn!.opened(sizeBytes);
  one.turn!.asks();
  return one.turn!;
}

/** Its reader takes pieces so slowly that each is there before it is asked for. */
async function slowly(all: readonly Read[]): Promise<void> {
  for (const one of all) (await opened(one)).brought();
}

test("eight large blobs are read at a time, the others when it is their turn, in order", async () => {
  const all = reads(20);
  await pass();
  expect([begun(all), turns.running, turns.waiting]).toEqual([8, 8, 12]);
  all[3]!.turn!.end();
  all[0]!.turn!.end();
  await pass();
  expect(all.map(({ turn }) => turn !== undefined)).toEqual([...Array(10).fill(true), ...Array(10).fill(false)]);
  for (let i = 0; i < all.length; i++) {
    all[i]!.turn!.end();
    await pass();
  }
  expect([turns.running, turns.waiting]).toEqual([0, 0]);
});

test("a window that eight blobs cannot fill has room for more, and none for more than 64", async () => {
  turns = new Turns({ size: 512 });
  expect(begun(await passed(reads(100)))).toBe(16);
  turns = new Turns({ size: 100_000 });
  expect(begun(await passed(reads(100)))).toBe(64);

  async function passed(all: Read[]) {
    await pass();
    return all;
  }
});

test("a small blob waits for no large one, and small ones are bounded too", async () => {
  reads(200);
  const all = reads(70, small);
  await pass();
  expect(begun(all)).toBe(64);
});

test("a blob whose size is not known counts as a large one until the source has said that it is small", async () => {
  const all = reads(20, {});
  await pass();
  expect(begun(all)).toBe(8);
  await opened(all[0]!, 100 * KiB);
  await pass();
  expect(begun(all)).toBe(9);
});

test("one that leaves while it waits is thrown its reason, and keeps no place", async () => {
  const all = reads(10);
  await pass();
  all[8]!.abort.abort(new Error("left"));
  all[0]!.abort.abort();
  await pass();
  expect(all[8]!.failure).toEqual(new Error("left"));
  expect(all[9]!.turn).toBeDefined();
  expect([turns.running, turns.waiting]).toEqual([8, 0]);
  const late = { abort: AbortSignal.abort(new Error("left before")) };
  await expect(turns.take(large, late.abort)).rejects.toThrow("left before");
  expect([turns.running, turns.waiting]).toEqual([8, 0]);
});

test("so many wait at most, the next one goes elsewhere", async () => {
  reads(8 + 4_096);
  await expect(turns.take(large, never)).rejects.toThrow(BlobUnavailable);
});

test("readers that are slower than the path keep no one from it", async () => {
  const slow = reads(8);
  await slowly(slow);
  const fast = read();
  await pass();
  expect(fast.turn).toBeUndefined();
  await pass(250);
  expect(fast.turn).toBeDefined();
  const others = reads(8);
  await pass(50);
  expect(begun(others)).toBe(7);
});

test("a reader that comes back for a piece now and then is still a slow one, one that waits for it is not", async () => {
  const all = reads(8);
  await slowly(all);
  read();
  for (let i = 0; i < 10; i++) {
    for (const { turn } of all) turn!.asks();
    await pass(5);
    for (const { turn } of all) turn!.brought();
    await pass(45);
  }
  expect([turns.running, turns.waiting]).toEqual([9, 0]);
  for (const { turn } of all) turn!.asks();
  await pass(200);
  const next = read();
  await pass(500);
  expect(next.turn).toBeUndefined();
});

test("a read that is not answered in a second keeps no one from the path", async () => {
  reads(8);
  const next = read();
  await pass(900);
  expect(next.turn).toBeUndefined();
  await pass(200);
  expect(next.turn).toBeDefined();
});

test("what no one waits for comes last", async () => {
  const wanted = reads(9);
  const ahead = read({ ...large, isWaitedFor: () => false });
  const late = read();
  await pass();
  for (const { turn } of wanted.slice(0, 8)) turn!.end();
  await pass();
  expect([ahead.turn, begun([late])]).toEqual([undefined, 1]);
  wanted[8]!.turn!.end();
  late.turn!.end();
  await pass();
  expect(ahead.turn).toBeDefined();
});

test("what is fetched ahead has its turn as soon as a puller waits for it", async () => {
  let isWaitedFor = false;
  read();
  const ahead = read({ ...large, isWaitedFor: () => isWaitedFor });
  await pass(500);
  expect(ahead.turn).toBeUndefined();
  isWaitedFor = true;
  await pass(50);
  expect(ahead.turn).toBeDefined();
});

test("a read that is far ahead of its readers gives way, until they have come near or no one else wants the path", async () => {
  let isWaitedFor = true;
  const ahead = await opened(read({ ...large, isWaitedFor: () => isWaitedFor }));
  isWaitedFor = false;
  await ahead.pause(); // alone it never does
  expect(ahead.pause()).toBeUndefined();
  const other = read();
  await opened(other);
  const near = vi.fn();
  void ahead.pause()!.then(near);
  await pass(4_000);
  expect([near.mock.calls.length, turns.running, turns.waiting]).toEqual([0, 1, 1]);
  isWaitedFor = true;
  await pass(50);
  expect(near).toHaveBeenCalledOnce();
  isWaitedFor = false;
  const alone = vi.fn();
  void ahead.pause()!.then(alone);
  other.turn!.end();
  await pass();
  expect(alone).toHaveBeenCalledOnce();
});

test("one that has given way comes back without a queue, when its readers have come near", async () => {
  let isWaitedFor = false;
  const ahead = await opened(read({ ...large, isWaitedFor: () => isWaitedFor }));
  reads(20);
  await pass();
  const resumed = vi.fn();
  void ahead.pause()!.then(resumed);
  isWaitedFor = true;
  await pass(50);
  expect(resumed).toHaveBeenCalledOnce();
});

test("of those that have given way no more continue at a time than large blobs are read", async () => {
  let areNear = true;
  const ahead = reads(20, { ...large, isWaitedFor: () => areNear });
  await pass(6_000 + 12 * 250); // let in one by one
  for (const one of ahead) await opened(one);
  areNear = false;
  const other = read();
  await opened(other);
  for (const { turn } of ahead) void turn!.pause();
  await pass(100);
  expect([turns.running, turns.waiting]).toEqual([1, 20]);
  other.turn!.end();
  await pass(1_000);
  expect([turns.running, turns.waiting]).toEqual([8, 12]);
});

test("those who come back for a piece or two keep no one from the path", async () => {
  let areNear = true;
  const slow = reads(8, { ...large, isWaitedFor: () => areNear });
  for (const one of slow) await opened(one);
  areNear = false;
  const other = read();
  await opened(other);
  for (const { turn } of slow) void turn!.pause();
  areNear = true;
  await pass(20);
  for (const { turn } of slow) turn!.asks();
  const next = reads(8);
  await pass(20);
  expect([begun(next), turns.running, turns.waiting]).toEqual([7, 16, 1]);
  for (const { turn } of [other, ...next.slice(0, 7)]) turn!.end();
  await pass();
  expect(begun(next)).toBe(8);
});

test("of hundreds who come back at once only as many are let in as large blobs are read, and one who begins at once", async () => {
  let areNear = true;
  const slow = reads(20, { ...large, isWaitedFor: () => areNear });
  await pass(6_000 + 12 * 250); // let in one by one
  for (const one of slow) await opened(one);
  areNear = false;
  const other = read();
  await opened(other);
  for (const { turn } of slow) void turn!.pause();
  await pass();
  expect(turns.running).toBe(1);
  areNear = true;
  await pass(20);
  expect([turns.running, turns.waiting]).toEqual([1 + 8, 12]);
  const fast = read();
  await pass();
  expect([begun([fast]), turns.running, turns.waiting]).toEqual([1, 2 + 8, 12]);
  slow[0]!.turn!.end();
  await pass();
  expect([turns.running, turns.waiting]).toEqual([2 + 8, 11]);
});

test("one that has given way can leave", async () => {
  const one = read({ ...large, isWaitedFor: () => false });
  const turn = await opened(one);
  const other = read();
  await pass();
  const paused = turn.pause()!;
  one.abort.abort(new Error("left"));
  await expect(paused).rejects.toThrow("left");
  turn.end();
  expect([turns.running, turns.waiting]).toEqual([1, 0]);
  other.turn!.end();
});

test("large blobs, and those that no one waits for, wait 5 s at most; then one after the other is let in", async () => {
  for (const one of reads(8)) await opened(one);
  const waiting = [...reads(3), read({ ...large, isWaitedFor: () => false })];
  await pass(4_900);
  expect(begun(waiting)).toBe(0);
  await pass(200);
  expect(begun(waiting)).toBe(1);
  await pass(1_000);
  expect(begun(waiting)).toBe(4);
});

test("those who wait are told every now and then that it is not for a silent source", async () => {
  const arrived = vi.fn();
  reads(8);
  read({ ...large, arrived });
  await pass(500);
  expect(arrived.mock.calls.length).toBeGreaterThanOrEqual(9);
});
