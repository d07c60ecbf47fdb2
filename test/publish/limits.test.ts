import { expect, test } from "vitest";
import { Semaphore } from "#base/semaphore.ts";
import { TokenBucket } from "#base/token-bucket.ts";
import { PageCache, pageBytes } from "#publish/page-cache.ts";
import { ReadGate } from "#publish/read-gate.ts";

test("a token bucket allows its burst at once and its rate afterwards", () => {
  const limit = new TokenBucket(10, 5);
  const start = Math.ceil(performance.now()); // whole milliseconds: nothing is lost when 300 are added
  const takeMany = (atMs: number) => Array.from({ length: 100 }, () => limit.tryTake(1, atMs)).filter(Boolean).length;
  expect(takeMany(start)).toBe(5);
  expect(takeMany(start + 300)).toBe(3);
  expect(takeMany(start + 60_000)).toBe(5);
});

test("a gate lets so many in, and the others in order as permits are released", async () => {
  const gate = new ReadGate(2);
  const entered: number[] = [];
  const all = [1, 2, 3, 4].map((n) => gate.acquire().then(() => entered.push(n)));
  await Promise.all(all.slice(0, 2));
  expect(entered).toEqual([1, 2]);
  gate.release();
  await all[2];
  expect(entered).toEqual([1, 2, 3]);
  gate.release();
  await Promise.all(all);
  expect(entered).toEqual([1, 2, 3, 4]);
});

test("the least recently used full pages go when the budget is used up", () => {
  const cache = new PageCache(3 * pageBytes);
  const forgotten: string[] = [];
  const add = (name: string) => {
    const page = cache.add(pageBytes, () => forgotten.push(name));
    page.filledBytes = pageBytes;
    return page;
  };
  const [a] = [add("a"), add("b"), add("c")];
  cache.touch(a!);
  add("d");
  expect(forgotten).toEqual(["b"]);
  expect(cache.sizeBytes).toBe(3 * pageBytes);
});

test("a page that is being filled stays, whatever the budget", () => {
  const cache = new PageCache(pageBytes);
  const forgotten: number[] = [];
  for (let i = 0; i < 4; i++) cache.add(pageBytes, () => forgotten.push(i));
  expect(forgotten).toEqual([]);
});

test("a semaphore runs so much at a time, lets so much wait, refuses the rest, and goes on after failures", async () => {
  const gate = new Semaphore(2, 3);
  const works = Array.from({ length: 6 }, () => Promise.withResolvers<number>());
  const begun: number[] = [];
  const all = works.map(({ promise }, i) =>
    gate.run(() => {
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
  expect(await gate.run(async () => "again")).toBe("again");
});
