import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PullLog } from "#client/status/pull-log.ts";
import type { PullView } from "#client/status/pull-view.ts";
import type { Referred } from "#oci/manifest.ts";
import { type Digest, parseSha256 } from "#oci/reference.ts";
import { askManifest, beginBlob, digestOf, puller } from "./stage.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function startLog() {
  const ended: PullView[] = [];
  let begun = 0;
  const log = new PullLog({ begun: { inc: () => void begun++ }, onEnd: (pull) => ended.push(pull) });
  const ask = (reference: string, more: { status?: number; method?: string; client?: string } = {}) =>
    askManifest(log, { ...puller, reference, status: 200, ...more });
  const blob = (digit: string) => beginBlob(log, { ...puller, digest: digestOf(digit) });
  /** A manifest is asked for, and lists these. */
  const serve = (reference: string, kind: Referred["kind"], digits: string) => {
    const answered = log.asked({ ...puller, reference });
    const children = digits.split("").map((digit) => listed(kind, digestOf(digit)));
    log.listed({ ...puller, reference }, children);
    answered({ status: 200 });
  };
  return { log, ask, blob, serve, begun: () => begun, ended };
}

function listed(kind: Referred["kind"], digest: string): Referred {
  return { kind, mediaType: "x", digest: parseSha256(digest) as Digest, sizeBytes: 10 };
}

describe("one pull is one row, counts one and ends once", () => {
  test("when an index, its manifest and its blobs are asked for, with a slow registry and a slow puller", () => {
    const { log, ask, blob, serve, begun, ended } = startLog();
    ask("3.22", { method: "HEAD", status: 401 });
    ask("3.22", { method: "HEAD" });
    expect(begun()).toBe(0);
    serve("3.22", "manifest", "12");
    const slow = log.asked({ ...puller, reference: digestOf("1") });
    vi.advanceTimersByTime(100_000);
    log.listed({ ...puller, reference: digestOf("1") }, [
      listed("config", digestOf("a")),
      listed("layer", digestOf("b")),
    ]);
    slow({ status: 200 });
    vi.advanceTimersByTime(4_000);
    const first = blob("a");
    first.wrote("ndn", 7);
    first.ended("complete");
    vi.advanceTimersByTime(4_000);
    blob("b").ended("complete");
    expect(ended).toEqual([]);
    vi.advanceTimersByTime(2_000);
    expect(ended).toMatchObject([{ reference: "3.22", outcome: "complete", bytes: { ndn: 7 }, durationMs: 108_000 }]);
    expect([log.pulls().length, begun()]).toEqual([1, 1]);
  });

  test("when signatures that hang on it are looked for", () => {
    const { log, ask, serve, blob, ended } = startLog();
    serve("3.22", "layer", "a");
    ask(`sha256-${"1".repeat(64)}.sig`, { status: 404 });
    blob("a").ended("complete");
    vi.advanceTimersByTime(60_000);
    expect(log.pulls()).toHaveLength(1);
    expect(ended).toMatchObject([{ reference: "3.22", outcome: "complete", reason: null }]);
  });

  test("when two tags are pulled at the same time: each blob belongs to the image that lists it", () => {
    const { log, serve, blob, ended } = startLog();
    serve("a", "layer", "1");
    serve("b", "layer", "2");
    blob("1").ended("complete");
    blob("2").ended("complete");
    vi.advanceTimersByTime(10_000);
    expect(log.pulls()).toHaveLength(2);
    expect(ended.map(({ reference, blobs }) => [reference, blobs.complete])).toEqual([
      ["a", 1],
      ["b", 1],
    ]);
  });

  test("when two digests of one repository are pulled after another", () => {
    const { log, serve, blob } = startLog();
    for (const [manifest, layer] of ["1a", "2b"]) {
      serve(digestOf(manifest!), "layer", layer!);
      blob(layer!).ended("complete");
    }
    expect(log.pulls().map(({ blobs }) => blobs.complete)).toEqual([1, 1]);
  });

  test("when a blob has failed and the puller waits before it tries again", () => {
    const { log, serve, blob, ended } = startLog();
    serve("a", "layer", "1");
    blob("1").ended("broken");
    vi.advanceTimersByTime(25_000);
    expect(ended).toEqual([]);
    blob("1").ended("complete");
    vi.advanceTimersByTime(2_000);
    expect(ended).toMatchObject([{ outcome: "complete" }]);
    expect(log.pulls()).toHaveLength(1);
  });

  test("when blobs are read lazily, minutes later; its end is told again", () => {
    const { log, serve, blob, begun, ended } = startLog();
    serve("a", "layer", "12");
    blob("1").ended("complete");
    vi.advanceTimersByTime(600_000);
    blob("2").ended("complete");
    vi.advanceTimersByTime(2_000);
    expect(ended.map(({ blobs }) => blobs.complete)).toEqual([1, 2]);
    expect([log.pulls().length, begun()]).toEqual([1, 1]);
  });

  test("but the same digest later is another one", () => {
    const { log, serve } = startLog();
    serve(digestOf("1"), "layer", "a");
    vi.advanceTimersByTime(6_000);
    serve(digestOf("1"), "layer", "a");
    expect(log.pulls()).toHaveLength(2);
  });
});

test("what a push asks for first is no pull, a refused question is one when nothing follows", () => {
  const { log, ask, begun, ended } = startLog();
  ask("new", { method: "HEAD", status: 404 });
  log.pushed(puller);
  expect(log.pulls()).toEqual([]);
  ask("gone", { method: "HEAD", status: 404 });
  log.pushed({ ...puller, client: "::1" });
  vi.advanceTimersByTime(5_000);
  expect(begun()).toBe(1);
  expect(ended).toMatchObject([
    { outcome: "refused", reason: "the registry does not have it, or hides it from this puller" },
  ]);
});

test("a shutdown ends the pulls that had not ended, once", () => {
  const { log, serve, ended } = startLog();
  serve("a", "layer", "1");
  log.close();
  expect(ended).toMatchObject([{ reference: "a", outcome: "checked" }]);
  vi.advanceTimersByTime(60_000);
  expect(ended).toHaveLength(1);
});
