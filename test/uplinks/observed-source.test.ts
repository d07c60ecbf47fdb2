import { beforeEach, expect, test } from "vitest";
import { Overtaken } from "#blob/race.ts";
import { type BlobSource, BlobUnknown, fromStart } from "#blob/source.ts";
import { blobOf, breaksAfter, collect, holds, stalls, unavailable } from "#test/blob/faulty-sources.ts";
import { until } from "#test/support/until.ts";
import { observedSource } from "#uplinks/observed-source.ts";
import { UplinkChoice } from "#uplinks/uplink-choice.ts";

const blob = blobOf("observed", 300_000);
const never = new AbortController().signal;
let choice: UplinkChoice<string>;
let outcomes: string[];

beforeEach(() => {
  choice = new UplinkChoice({ paths: ["a"], isUp: () => true });
  outcomes = [];
});

function observed(inner: BlobSource, leavesCrawling = true): BlobSource {
  const begin = () => {
    const sample = choice.begin("a");
    const ended = sample.ended.bind(sample);
    sample.ended = (outcome) => {
      if (outcomes.length === 0) outcomes.push(outcome);
      ended(outcome);
    };
    return sample;
  };
  return observedSource(inner, begin, leavesCrawling);
}

async function readAll(source: BlobSource, signal = never, from = fromStart): Promise<Buffer> {
  return Buffer.concat(await collect((await source.open(blob.ref, from, signal)).chunks));
}

test("a read that brings everything is complete, also when the reader stops at the last byte", async () => {
  expect((await readAll(observed(holds(blob)))).equals(blob.bytes)).toBe(true);
  expect(outcomes).toEqual(["complete"]);
  outcomes = [];
  let left = blob.bytes.length;
  for await (const bytes of (await observed(holds(blob)).open(blob.ref, fromStart, never)).chunks) {
    left -= bytes.length;
    if (left === 0) break;
  }
  expect(outcomes).toEqual(["complete"]);
});

test("a read that cannot begin, breaks off or ends early has failed", async () => {
  for (const bad of [unavailable(), breaksAfter(100_000, blob), holds({ ...blob, bytes: blob.bytes.subarray(1) })]) {
    outcomes = [];
    const size = blob.bytes.length;
    const lying: BlobSource = {
      name: "ndn",
      open: async (...args) => ({ ...(await bad.open(...args)), sizeBytes: size }),
    };
    await readAll(observed(lying)).catch(() => undefined);
    expect(outcomes).toEqual(["failed"]);
  }
});

test("that the blob is not there is an answer", async () => {
  const source: BlobSource = { name: "ndn", open: () => Promise.reject(new BlobUnknown("not there")) };
  await expect(readAll(observed(source))).rejects.toThrow(BlobUnknown);
  expect(outcomes).toEqual(["unknown"]);
});

test.each([
  ["a reader that leaves is no fault of the path", new Error("reader left"), "cancelled"],
  ["one that is overtaken while its bytes are waited for has failed", new Overtaken("upstream was first"), "failed"],
])("%s", async (_, reason, outcome) => {
  const reader = new AbortController();
  const sample = readAll(observed(stalls(10, blob)), reader.signal);
  sample.catch(() => undefined);
  await new Promise((resolve) => setImmediate(resolve));
  reader.abort(reason);
  await expect(sample).rejects.toBe(reason);
  expect(outcomes).toEqual([outcome]);
});

test("one that is overtaken before its bytes were wanted, by the upstream's own slowness, has not failed", async () => {
  const reader = new AbortController();
  await observed(holds(blob)).open(blob.ref, fromStart, reader.signal);
  reader.abort(new Overtaken("upstream was first"));
  await until("the end", () => outcomes.length > 0);
  expect(outcomes).toEqual(["cancelled"]);
});

test.each([true, false])("a crawling path is left, unless there is no other: %s", async (leaves) => {
  const crawling = { ended: () => undefined, brought: () => undefined, isCrawling: true };
  const sample = choice.begin("a");
  Object.assign(sample, { ended: crawling.ended, brought: crawling.brought });
  Object.defineProperty(sample, "isCrawling", { value: true });
  const source = observedSource(holds(blob), () => sample, leaves);
  const reads = readAll(source);
  if (leaves) await expect(reads).rejects.toThrow(/much slower/);
  else expect((await reads).equals(blob.bytes)).toBe(true);
});
