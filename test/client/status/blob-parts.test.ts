import pino from "pino";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BlobRecord } from "#client/status/blob-record.ts";
import { createClientMetrics } from "#client/status/metrics.ts";
import { PullLog } from "#client/status/pull-log.ts";
import type { PullView } from "#client/status/pull-view.ts";
import { parseSha256 } from "#oci/reference.ts";
import { digestOf, puller } from "./stage.ts";

const digest = digestOf("a");

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function startRecords() {
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[0]) });
  const ended: PullView[] = [];
  const pulls = new PullLog({ onEnd: (pull) => ended.push(pull) });
  const services = { log, metrics: createClientMetrics(new Registry()), pulls };
  const begin = (more: object = {}) => new BlobRecord(services, { ...puller, digest, isPart: true, ...more });
  return { pulls, lines, begin, ended };
}

test("a blob that is read in parallel ranges has one line, with the bytes of all of them", () => {
  const { lines, begin } = startRecords();
  const dropped = begin({ isPart: false }); // containerd drops its first request on purpose
  dropped.end("cancelled", new Error("the puller closed the connection"));
  vi.advanceTimersByTime(2_000);
  for (let round = 0; round < 3; round++) {
    const parts = [begin(), begin()];
    parts[0]!.wrote("ndn", 10);
    parts[1]!.wrote("store", 1);
    vi.advanceTimersByTime(500);
    for (const part of parts) part.end("complete");
    vi.advanceTimersByTime(400);
  }
  expect(lines).toEqual([]);
  vi.advanceTimersByTime(1_000);
  expect(lines).toMatchObject([
    { msg: "blob served", digest, bytes: { ndn: 30, store: 3 }, ms: 4_300, outcome: "complete", requests: 7 },
  ]);
  expect(lines[0]).not.toHaveProperty("reason");
});

test("a blob that is read as a whole has its line at once", () => {
  const { lines, begin } = startRecords();
  begin({ isPart: false }).end("complete");
  expect(lines).toMatchObject([{ msg: "blob served" }]);
  expect(lines[0]).not.toHaveProperty("requests");
});

test("two pullers, and a pause, make lines of their own", () => {
  const { lines, begin } = startRecords();
  begin().end("complete");
  begin({ client: "::1" }).end("complete");
  vi.advanceTimersByTime(1_500);
  begin().end("complete");
  vi.advanceTimersByTime(1_500);
  expect(lines).toHaveLength(3);
});

test("what breaks off in the end is said so, and a stop writes what waits", () => {
  const { pulls, lines, begin } = startRecords();
  begin().end("complete");
  const last = begin();
  last.failed("upstream", "byte 5: gone");
  last.end("broken", new Error("every source stopped by byte 5"));
  pulls.close();
  expect(lines).toMatchObject([
    {
      level: 40,
      msg: "blob broken off",
      failures: ["upstream: byte 5: gone"],
      reason: "every source stopped by byte 5",
    },
  ]);
  vi.advanceTimersByTime(5_000);
  expect(lines).toHaveLength(1);
});

test("on the page the parts are one blob, with what has come of its size", () => {
  const { pulls, begin, ended } = startRecords();
  const answered = pulls.asked({ ...puller, reference: "1" });
  const layer = { kind: "layer", mediaType: "x", digest: parseSha256(digest)!, sizeBytes: 100 } as const;
  pulls.listed({ ...puller, reference: "1" }, [layer]);
  answered({ status: 200 });
  const first = begin();
  first.wrote("ndn", 20);
  first.end("complete");
  const [second, third] = [begin(), begin()];
  second.wrote("ndn", 10);
  third.wrote("store", 5);
  expect(pulls.liveCount).toBe(1);
  expect(pulls.live(9)).toMatchObject([{ digest, sizeBytes: 100, bytes: { ndn: 30, store: 5 } }]);
  for (const part of [second, third]) part.end("complete");
  expect(pulls.live(9)).toEqual([]);
  expect(ended).toEqual([]);
  vi.advanceTimersByTime(2_000);
  expect(ended).toEqual([]); // 35 of its 100 bytes have come: the puller may be slow
  vi.advanceTimersByTime(3_000);
  expect(ended).toMatchObject([{ outcome: "complete", blobs: { complete: 1 }, bytes: { ndn: 30, store: 5 } }]);
});
