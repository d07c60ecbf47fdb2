import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TokenBucket } from "#base/limits.ts";
import { timesOf } from "./times-of.ts";

const mebi = 1024 * 1024;
const never = new AbortController().signal;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test("a token bucket allows its burst at once and its rate afterwards", () => {
  const limit = new TokenBucket(10, 5);
  const start = Math.ceil(performance.now()); // whole milliseconds: nothing is lost when 300 are added
  const takeMany = (atMs: number) => Array.from({ length: 100 }, () => limit.tryTake(1, atMs)).filter(Boolean).length;
  expect(takeMany(start)).toBe(5);
  expect(takeMany(start + 300)).toBe(3);
  expect(takeMany(start + 60_000)).toBe(5);
});

test("what is given back can be taken again, also by one that waits, and is no more than the burst", async () => {
  const bucket = new TokenBucket(1, 5);
  expect(bucket.tryTake(5)).toBe(true);
  const waiting = bucket.take(2, never);
  bucket.giveBack(3);
  await waiting;
  expect([bucket.tryTake(2), bucket.tryTake(1)]).toEqual([false, true]);
  bucket.giveBack(100);
  expect([bucket.tryTake(5), bucket.tryTake(1)]).toEqual([true, false]);
});

test("an idle minute saves up no more than the burst", async () => {
  const bucket = new TokenBucket(mebi, mebi);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await timesOf([bucket.take(mebi, never), bucket.take(mebi, never)], 2_000)).toEqual([0, 1000]);
});

test("a request larger than the bucket passes when the bucket is full, and is paid off afterwards", async () => {
  const bucket = new TokenBucket(mebi, mebi);
  expect(await timesOf([bucket.take(3 * mebi, never), bucket.take(mebi, never)], 5_000)).toEqual([0, 3000]);
});

test("readers of one limit take turns and get like shares of it", async () => {
  const bucket = new TokenBucket(4 * mebi, mebi);
  const shares = [0, 0, 0];
  const enough = new AbortController();
  const readers = shares.map(async (_, reader) => {
    for (;;) {
      await bucket.take(64 * 1024, enough.signal);
      shares[reader]! += 64 * 1024;
    }
  });
  await vi.advanceTimersByTimeAsync(3_000);
  enough.abort();
  await Promise.allSettled(readers);
  const total = shares.reduce((sum, bytes) => sum + bytes, 0);
  expect(total).toBeGreaterThanOrEqual(12 * mebi);
  expect(total).toBeLessThanOrEqual(13 * mebi + 64 * 1024);
  expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(mebi + 64 * 1024);
});

test("one that goes away while waiting costs the others nothing", async () => {
  const bucket = new TokenBucket(mebi, mebi);
  await bucket.take(mebi, never);
  const leaving = new AbortController();
  const left = bucket.take(mebi, leaving.signal);
  const stays = timesOf([bucket.take(mebi / 2, never)], 1_000);
  leaving.abort(new Error("gone"));
  await expect(left).rejects.toThrow("gone");
  expect(await stays).toEqual([500]);
  await expect(bucket.take(1, leaving.signal)).rejects.toThrow("gone");
});

test("nothing is taken past those who wait", async () => {
  const bucket = new TokenBucket(1_000, 10);
  expect(bucket.tryTake(10)).toBe(true);
  const waiting = timesOf([bucket.take(10, never)], 0);
  await vi.advanceTimersByTimeAsync(5);
  expect(bucket.tryTake(1)).toBe(false);
  await vi.advanceTimersByTimeAsync(5);
  expect(await waiting).toEqual([10]);
});

test("one that waits behind a large request moves up when that one goes away", async () => {
  const bucket = new TokenBucket(1_000, 1_000);
  bucket.tryTake(900);
  const leaving = new AbortController();
  const large = expect(bucket.take(1_000, leaving.signal)).rejects.toThrow("gone");
  const small = bucket.take(100, never);
  leaving.abort(new Error("gone"));
  await Promise.all([large, small]); // no time has passed
});
