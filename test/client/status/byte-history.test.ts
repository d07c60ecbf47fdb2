import { expect, test } from "vitest";
import { ByteHistory, historySeconds } from "#client/status/pull-log.ts";

test("bytes are in the second in which they were handed out, for two minutes", () => {
  let nowMs = 5_500;
  const history = new ByteHistory(() => nowMs);
  const recent = (count: number) => history.perSecond().slice(-count);
  history.add(3);
  nowMs += 400;
  history.add(4);
  expect(history.perSecond()).toEqual(new Array(historySeconds).fill(0)); // the running second is not over
  nowMs += 1_000;
  history.add(5);
  expect(recent(2)).toEqual([0, 7]);
  nowMs += 3_000;
  expect(recent(5)).toEqual([0, 7, 5, 0, 0]);
  nowMs += (historySeconds - 4) * 1_000;
  expect(history.perSecond().slice(0, 2)).toEqual([7, 5]);
  nowMs += 1_000;
  expect(history.perSecond()[0]).toBe(5);
});

test("after a long pause nothing is left", () => {
  let nowMs = 0;
  const history = new ByteHistory(() => nowMs);
  history.add(9);
  nowMs += 1e9;
  expect(Math.max(...history.perSecond())).toBe(0);
});
