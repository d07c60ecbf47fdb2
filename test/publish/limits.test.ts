import { expect, test } from "vitest";
import { PageCache, pageBytes, ReadLimit } from "#publish/pages.ts";

test("a limit lets so many in, and the others in order as permits are released", async () => {
  const limit = new ReadLimit(2, 8);
  const entered: number[] = [];
  const all = [1, 2, 3, 4].map((n) => limit.acquire().then(() => entered.push(n)));
  await Promise.all(all.slice(0, 2));
  expect(entered).toEqual([1, 2]);
  limit.release();
  await all[2];
  expect(entered).toEqual([1, 2, 3]);
  limit.release();
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
