import { expect, test } from "vitest";
import { BufferPool } from "#base/buffer-pool.ts";

test("a buffer that was given back is taken again, the last one first", () => {
  const pool = new BufferPool(16, 2);
  const [a, b] = [pool.take(), pool.take()];
  expect([a.length, b.length, a === b]).toEqual([16, 16, false]);
  pool.give(a);
  pool.give(b);
  expect(pool.take()).toBe(b);
  expect(pool.take()).toBe(a);
  expect([a, b]).not.toContain(pool.take());
});

test("no more are kept than allowed, and none of another size", () => {
  const pool = new BufferPool(16, 1);
  const [kept, dropped] = [pool.take(), pool.take()];
  pool.give(Buffer.alloc(8));
  pool.give(kept);
  pool.give(dropped);
  expect(pool.take()).toBe(kept);
  expect(pool.take()).not.toBe(dropped);
});
