import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Checkup } from "#base/checkup.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Looks that are answered as the test says; by default at once. */
function startCheckup(isWell = true) {
  const seen: boolean[] = [];
  const state = { isWell, looks: 0, gate: Promise.resolve() };
  const checkup = new Checkup<boolean>({
    look: async () => {
      state.looks++;
      await state.gate;
      return state.isWell;
    },
    isWell: (found) => found,
    onLook: (found) => seen.push(found),
  });
  return { checkup, state, seen };
}

test("however many ask, there is one look at a time, and none when one was done just now", async () => {
  const { checkup, state } = startCheckup();
  expect(checkup.last).toBeUndefined();
  expect(await Promise.all([checkup.ask(), checkup.ask(), checkup.look()])).toEqual([true, true, true]);
  vi.advanceTimersByTime(4_900);
  await checkup.ask();
  expect(state.looks).toBe(1);
  vi.advanceTimersByTime(200);
  await checkup.ask();
  expect(state.looks).toBe(2);
  checkup.close();
});

test("while something is wrong it looks again by itself, and for those who ask after a second", async () => {
  const { checkup, state, seen } = startCheckup(false);
  await checkup.look();
  vi.advanceTimersByTime(1_100);
  await checkup.look(); // a page that is open need not know at once
  expect(state.looks).toBe(1);
  await checkup.ask();
  expect(state.looks).toBe(2);
  state.isWell = true;
  await vi.advanceTimersByTimeAsync(30_000);
  expect([state.looks, seen]).toEqual([3, [false, false, true]]);
  await vi.advanceTimersByTimeAsync(300_000);
  expect(state.looks).toBe(3);
  checkup.close();
});

test("who asks does not wait for a slow look when something is known already", async () => {
  const { checkup, state } = startCheckup();
  await checkup.ask();
  vi.advanceTimersByTime(6_000);
  const slow = Promise.withResolvers<void>();
  state.gate = slow.promise;
  state.isWell = false;
  const asked = checkup.ask();
  await vi.advanceTimersByTimeAsync(700);
  expect(await asked).toBe(true);
  slow.resolve();
  await vi.waitFor(() => expect(checkup.last).toBe(false));
  checkup.close();
});

test("closed, it looks no more", async () => {
  const { checkup, state } = startCheckup(false);
  await checkup.ask();
  checkup.close();
  await vi.advanceTimersByTimeAsync(300_000);
  expect([await checkup.ask(), state.looks]).toEqual([false, 1]);
});
