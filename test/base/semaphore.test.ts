import { expect, test } from "vitest";
import { forEachBounded, Semaphore, SemaphoreFull } from "#base/limits.ts";

const tick = () => new Promise((resolve) => setImmediate(resolve));

test("a semaphore runs so much at a time, lets so much wait, refuses the rest, and continues after failures", async () => {
  const semaphore = new Semaphore(2, 3);
  const works = Array.from({ length: 6 }, () => Promise.withResolvers<number>());
  const begun: number[] = [];
  const all = works.map(({ promise }, i) =>
    semaphore.run(() => {
      begun.push(i);
      return promise;
    }),
  );
  await expect(all[5]).rejects.toThrow(/3 wait for the same/);
  expect(begun).toEqual([0, 1]);
  works[1]!.reject(new Error("no"));
  await expect(all[1]).rejects.toThrow("no");
  expect(begun).toEqual([0, 1, 2]);
  for (const [i, work] of works.entries()) work.resolve(i);
  expect(await Promise.allSettled(all)).toMatchObject(
    works.map((_, i) => (i === 1 || i === 5 ? { status: "rejected" } : { value: i })),
  );
  expect(begun).toEqual([0, 1, 2, 3, 4]);
  expect(await semaphore.run(async () => "again")).toBe("again");
});

test("no more than the permits are in use, and those who wait get them in order", async () => {
  const semaphore = new Semaphore(2);
  const entered: number[] = [];
  const all = [1, 2, 3, 4].map((n) => semaphore.acquire().then(() => entered.push(n)));
  await tick();
  expect([entered, semaphore.inUse, semaphore.waiting]).toEqual([[1, 2], 2, 2]);
  semaphore.release();
  await tick();
  expect([entered, semaphore.inUse, semaphore.waiting]).toEqual([[1, 2, 3], 2, 1]);
  semaphore.release();
  await Promise.all(all);
  expect(entered).toEqual([1, 2, 3, 4]);
  semaphore.release();
  semaphore.release();
  expect([semaphore.inUse, semaphore.waiting]).toEqual([0, 0]);
});

test("one that is aborted while it waits leaves its place, and the one behind it is next", async () => {
  const semaphore = new Semaphore(1, 2);
  await semaphore.acquire();
  const gone = new AbortController();
  const leaving = semaphore.acquire(gone.signal);
  const next = semaphore.acquire();
  await expect(semaphore.acquire()).rejects.toThrow(SemaphoreFull);
  gone.abort(new Error("gone"));
  await expect(leaving).rejects.toThrow("gone");
  expect(semaphore.waiting).toBe(1);
  semaphore.release();
  await next;
  expect([semaphore.inUse, semaphore.waiting]).toEqual([1, 0]);
});

test("an abort before waiting takes no permit, and one after it has no effect", async () => {
  const semaphore = new Semaphore(1);
  await expect(semaphore.acquire(AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
  expect(semaphore.inUse).toBe(0);
  const later = new AbortController();
  await semaphore.acquire();
  const waiting = semaphore.acquire(later.signal);
  semaphore.release();
  await waiting;
  later.abort();
  expect(semaphore.inUse).toBe(1);
});

test("work that never began because of an abort releases nothing", async () => {
  const semaphore = new Semaphore(1);
  await semaphore.acquire();
  const gone = new AbortController();
  const waiting = semaphore.run(async () => "never", gone.signal);
  gone.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  expect(semaphore.inUse).toBe(1);
});

test("every item is worked on, so many at a time", async () => {
  let [running, most] = [0, 0];
  const done: number[] = [];
  await forEachBounded([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    most = Math.max(most, ++running);
    await tick();
    running--;
    done.push(item);
  });
  expect(most).toBe(3);
  expect(done.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7]);
});

test("the first failure is thrown when all running work has ended, and no more begins", async () => {
  const begun: number[] = [];
  const slow = Promise.withResolvers<void>();
  let isOver = false;
  const all = forEachBounded([1, 2, 3, 4], 2, async (item) => {
    begun.push(item);
    if (item === 1) throw new Error("first");
    await slow.promise;
    throw new Error("second");
  });
  const failed = expect(all.finally(() => (isOver = true))).rejects.toThrow("first");
  await tick();
  expect([begun, isOver]).toEqual([[1, 2], false]);
  slow.resolve();
  await failed;
  expect(begun).toEqual([1, 2]);
});
