import { beforeEach, expect, test } from "vitest";
import type { ReadOutcome } from "#uplinks/path-stats.ts";
import { UplinkChoice } from "#uplinks/uplink-choice.ts";

const mebibyte = 1024 * 1024;
let nowMs: number;
let down: Set<string>;
let backedOff: string[];

beforeEach(() => {
  nowMs = 0;
  down = new Set();
  backedOff = [];
});

function choiceOf(...paths: string[]): UplinkChoice<string> {
  return new UplinkChoice({
    paths,
    isUp: (path) => !down.has(path),
    onBackOff: (path) => backedOff.push(path),
    now: () => nowMs,
  });
}

/** One read over `path`, as fast as this; the time goes by. */
function read(choice: UplinkChoice<string>, path: string, mbPerSecond = 50, outcome: ReadOutcome = "complete"): void {
  const sample = choice.begin(path);
  if (mbPerSecond > 0) bring(sample, 2 * mebibyte, mbPerSecond);
  sample.ended(outcome);
}

function bring(sample: ReturnType<UplinkChoice<string>["begin"]>, bytes: number, mbPerSecond: number): void {
  const ms = bytes / (mbPerSecond * 1_000);
  nowMs += ms;
  sample.brought(bytes, ms);
}

function fail(choice: UplinkChoice<string>, path: string, times = 1): void {
  for (let n = 0; n < times; n++) read(choice, path, 0, "failed");
}

test("the blobs stay on one path, and the second one is there for the rest of a blob", () => {
  const choice = choiceOf("a", "b", "c");
  expect(choice.next()).toEqual(["a", "b"]);
  read(choice, "a");
  expect(choice.next()).toEqual(["a", "b"]);
});

test("a path that is down is not tried, and the one in its place stays when it is up again", () => {
  const choice = choiceOf("a", "b");
  down.add("a");
  expect(choice.next()).toEqual(["b"]);
  down.clear();
  choice.cameUp("a");
  expect(choice.next()).toEqual(["b", "a"]);
  down.add("a").add("b");
  expect(choice.next()).toEqual([]);
});

test("one failure is forgiven, two in a row make a path back off", () => {
  const choice = choiceOf("a", "b");
  fail(choice, "a");
  expect(choice.next()).toEqual(["a", "b"]);
  read(choice, "a");
  fail(choice, "a");
  expect(choice.isBackingOff("a")).toBe(false);
  fail(choice, "a");
  expect(choice.isBackingOff("a")).toBe(true);
  expect(backedOff).toEqual(["a"]);
  expect(choice.next()).toEqual(["b"]);
});

test("reads that fail while another one is served say nothing about the path, until that is silent too", () => {
  const choice = choiceOf("a");
  const failing = Array.from({ length: 8 }, () => choice.begin("a"));
  const served = choice.begin("a");
  bring(served, mebibyte, 50);
  nowMs += 2_900;
  for (const sample of failing.splice(0, 5)) sample.ended("failed");
  expect(choice.isBackingOff("a")).toBe(false);
  nowMs += 200;
  served.ended("failed");
  for (const sample of failing) sample.ended("failed");
  expect(choice.isBackingOff("a")).toBe(true);
});

test("a read that breaks off after its own bytes has failed, however fresh they are, and so has one that crawls", () => {
  const choice = choiceOf("a", "b");
  for (let n = 0; n < 2; n++) read(choice, "a", 50, "failed");
  expect(choice.isBackingOff("a")).toBe(true);
  for (let n = 0; n < 3; n++) read(choice, "b");
  const slow = [choice.begin("b"), choice.begin("b")];
  for (const sample of slow) bring(sample, mebibyte, 0.3);
  for (const sample of slow) {
    expect(sample.isCrawling).toBe(true);
    sample.ended("failed");
  }
  expect(choice.isBackingOff("b")).toBe(true);
});

test("that a blob is not there, or a reader leaves, is no failure", () => {
  const choice = choiceOf("a");
  for (let n = 0; n < 5; n++) {
    read(choice, "a", 0, "unknown");
    read(choice, "a", 0, "cancelled");
  }
  fail(choice, "a");
  read(choice, "a", 0, "unknown");
  fail(choice, "a");
  expect(choice.next()).toEqual(["a"]);
});

test("after backing off, one blob at a time tries the path, and its answer brings the others back", () => {
  const choice = choiceOf("a");
  choice.next();
  fail(choice, "a", 2);
  expect(choice.next()).toEqual([]);
  nowMs += 10_000;
  expect(choice.next()).toEqual(["a"]);
  expect(choice.next()).toEqual([]);
  const probe = choice.begin("a");
  nowMs += 5_000;
  expect(choice.next()).toEqual([]);
  nowMs += 55_000;
  expect([choice.next(), choice.next()]).toEqual([["a"], []]);
  probe.ended("complete");
  expect([choice.next(), choice.next()]).toEqual([["a"], ["a"]]);
});

test("each backoff is longer than the one before, up to a minute, until the path answers or its face is new", () => {
  const choice = choiceOf("a");
  const backoffMs = () => {
    const began = nowMs;
    while (choice.isBackingOff("a")) nowMs += 1_000;
    return nowMs - began;
  };
  fail(choice, "a", 2);
  const backoffs = [backoffMs()];
  for (let n = 0; n < 4; n++) {
    fail(choice, "a");
    backoffs.push(backoffMs());
  }
  expect(backoffs).toEqual([10_000, 20_000, 40_000, 60_000, 60_000]);
  fail(choice, "a");
  choice.cameUp("a");
  expect(choice.next()).toEqual(["a"]);
  fail(choice, "a", 2);
  expect(backoffMs()).toBe(10_000);
});

test("reads that fail together make one backoff", () => {
  const choice = choiceOf("a");
  const readings = Array.from({ length: 6 }, () => choice.begin("a"));
  for (const sample of readings) sample.ended("failed");
  nowMs += 10_000;
  expect(choice.isBackingOff("a")).toBe(false);
  expect(backedOff).toEqual(["a"]);
});

test("a path that backed off is tried with one blob, which has the present path to go on with", () => {
  const choice = choiceOf("a", "b");
  choice.next();
  fail(choice, "a", 2);
  expect(choice.next()).toEqual(["b"]);
  nowMs += 10_000;
  expect(choice.next()).toEqual(["a", "b"]);
  expect(choice.next()).toEqual(["b"]);
  read(choice, "a");
  expect(choice.next()).toEqual(["b", "a"]);
});

/** Pull blobs until both paths are known. */
function compare(choice: UplinkChoice<string>, mbPerSecond: Readonly<Record<string, number>>, blobs = 40): string[] {
  return Array.from({ length: blobs }, () => {
    const [first] = choice.next();
    read(choice, first!, mbPerSecond[first!]);
    nowMs += 5_000;
    return first!;
  });
}

test("the traffic moves to a path that is much faster over several blobs, and stays there", () => {
  const order = compare(choiceOf("a", "b"), { a: 10, b: 40 });
  expect(order.slice(0, 3)).toEqual(["a", "a", "a"]);
  expect(order.filter((path) => path === "b").length).toBeGreaterThan(20);
  expect(order.slice(-10)).toEqual(Array.from({ length: 10 }, () => "b"));
});

test("a path that is not so much faster gets a few blobs to compare, and no more", () => {
  const order = compare(choiceOf("a", "b"), { a: 20, b: 40 });
  expect(order.filter((path) => path === "b")).toHaveLength(3);
});

test("blobs that share a path are not taken for a slow path", () => {
  const choice = choiceOf("a", "b");
  for (let round = 0; round < 10; round++) {
    const [first] = choice.next();
    const readings = Array.from({ length: 4 }, () => choice.begin(first!));
    nowMs += 1_000;
    for (const sample of readings) sample.brought(10 * mebibyte, 1_000);
    for (const sample of readings) sample.ended("complete");
    if (first === "b") read(choice, "b", 40);
    nowMs += 10_000;
  }
  expect(choice.next()[0]).toBe("a");
});

test("slow readers and small blobs say nothing about a path", () => {
  const choice = choiceOf("a", "b");
  for (let n = 0; n < 10; n++) {
    const slow = choice.begin("a");
    nowMs += 10_000;
    slow.brought(2 * mebibyte, 20);
    slow.ended("complete");
    const small = choice.begin("a");
    small.brought(1_000, 5);
    small.ended("complete");
    expect(choice.next()).toEqual(["a", "b"]);
  }
});

test("a read crawls when the path brings a tenth of what it brought before, and not for a slow reader", () => {
  const choice = choiceOf("a");
  choice.next();
  for (let n = 0; n < 3; n++) read(choice, "a", 50);
  const steady = choice.begin("a");
  bring(steady, 60 * mebibyte, 10);
  expect(steady.isCrawling).toBe(false);
  nowMs += 60_000;
  steady.brought(1_000, 10);
  expect(steady.isCrawling).toBe(false);
  bring(steady, 8 * mebibyte, 2);
  expect(steady.isCrawling).toBe(true);
});

test("a probe that is much slower than the present path crawls, and nothing is known of a first read", () => {
  const choice = choiceOf("a", "b");
  choice.next();
  for (let n = 0; n < 3; n++) read(choice, "a", 50);
  const probe = choice.begin("b");
  bring(probe, 40 * mebibyte, 10);
  expect(probe.isCrawling).toBe(true);
  const first = choiceOf("a").begin("a");
  bring(first, mebibyte, 0.1);
  expect(first.isCrawling).toBe(false);
});

test("a path is in use while a read is in progress or was answered not long ago, and not when it backs off or has a new face", () => {
  const choice = choiceOf("a");
  expect(choice.isInUse("a")).toBe(false);
  const sample = choice.begin("a");
  expect(choice.isInUse("a")).toBe(true);
  sample.ended("cancelled");
  expect(choice.isInUse("a")).toBe(false);
  read(choice, "a");
  nowMs += 9 * 60_000;
  expect(choice.isInUse("a")).toBe(true);
  nowMs += 2 * 60_000;
  expect(choice.isInUse("a")).toBe(false);
  read(choice, "a", 0, "unknown");
  expect(choice.isInUse("a")).toBe(true);
  choice.cameUp("a");
  expect(choice.isInUse("a")).toBe(false);
  read(choice, "a");
  fail(choice, "a");
  expect(choice.isInUse("a")).toBe(false);
  fail(choice, "a");
  expect(choice.isBackingOff("a")).toBe(true);
  nowMs += 11_000;
  choice.begin("a");
  expect(choice.isInUse("a")).toBe(false);
});

test("a path that brings anything at the time is not left alone, whatever fails on it", () => {
  const choice = choiceOf("a");
  const busy = choice.begin("a");
  for (let n = 0; n < 5; n++) {
    bring(busy, 1_000, 1);
    fail(choice, "a");
    nowMs += 500;
  }
  expect(choice.isBackingOff("a")).toBe(false);
  nowMs += 3_000;
  fail(choice, "a", 2);
  expect(choice.isBackingOff("a")).toBe(true);
});

test("a path is busy while something comes in each half second, or in each two round trips", () => {
  let rttMs = 0;
  const choice = new UplinkChoice({ paths: ["a"], isUp: () => true, rttMs: () => rttMs, now: () => nowMs });
  bring(choice.begin("a"), 1_000, 1);
  nowMs += 600;
  expect(choice.isBusy).toBe(false);
  rttMs = 600;
  expect(choice.isBusy).toBe(true);
  nowMs += 700;
  expect(choice.isBusy).toBe(false);
});
