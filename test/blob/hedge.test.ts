import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Semaphore } from "#base/limits.ts";
import { openWithFallback } from "#blob/fallback.ts";
import { createHedgeDelay, type HedgeOptions, hedgeFor } from "#blob/hedge.ts";
import { Overtaken } from "#blob/race.ts";
import { type BlobSource, BlobUnavailable, fromStart, type SourceName } from "#blob/source.ts";
import { NotShareable, UpstreamAnswer } from "#blob/upstream-source.ts";
import {
  aborted,
  blobOf,
  breaksAfter,
  collect,
  corrupt,
  holds,
  stalls,
  unavailable,
  waitsFor,
} from "./faulty-sources.ts";

const blob = blobOf("hedge", 300_000);
const never = new AbortController().signal;
const refusal = new UpstreamAnswer(401, {}, Buffer.alloc(0));
let events: string[];

beforeEach(() => {
  events = [];
  vi.useFakeTimers();
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function optionsWith(upstream: BlobSource, more: Partial<HedgeOptions> = {}): HedgeOptions {
  return {
    upstream,
    delay: createHedgeDelay({ mode: 1_000 }),
    limit: new Semaphore(8),
    needsRight: false,
    events: {
      started: (ms) => events.push(`hedge after ${ms}`),
      lost: (source, err) => events.push(`${source}: ${(err as Error).name}`),
    },
    ...more,
  };
}

function hedged(ndn: BlobSource, upstream: BlobSource, more: Partial<HedgeOptions> = {}): BlobSource {
  return hedgeFor(optionsWith(upstream, more))(ndn);
}

/** A source whose `open` does this. */
function opens(open: BlobSource["open"], name: SourceName = "ndn"): BlobSource {
  return { name, open };
}

function silent(name: SourceName = "ndn"): BlobSource & { signals: AbortSignal[] } {
  const signals: AbortSignal[] = [];
  return Object.assign(
    opens((_blob, _from, signal) => {
      signals.push(signal);
      return aborted(signal);
    }, name),
    { signals },
  );
}

function fails(err: Error, afterMs: number, name: SourceName = "upstream"): BlobSource {
  return opens((_blob, _from, signal) => {
    return Promise.race([
      aborted(signal),
      new Promise<never>((_, reject) => {
        setTimeout(() => reject(err), afterMs);
      }),
    ]);
  }, name);
}

/** Read all of it over two sources, and what comes after them. */
async function readOver(first: BlobSource, ...others: BlobSource[]) {
  const reading = (async () => {
    const read = await openWithFallback([first, ...others], blob.ref, never);
    const chunks = await collect(read.chunks);
    expect(Buffer.concat(chunks.map(({ bytes }) => bytes)).equals(blob.bytes)).toBe(true);
    return { source: read.source, contributors: [...read.contributors] };
  })();
  reading.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(10_000);
  return reading;
}

test("while NDN is in time the upstream is not asked, and its time is learned", async () => {
  const upstream = holds(blob, "upstream");
  const delay = { observe: vi.fn(), delayMs: () => 1_000, busyDelayMs: () => 4_000 };
  expect(await readOver(hedged(holds(blob), upstream, { delay }))).toEqual({ source: "ndn", contributors: ["ndn"] });
  expect(upstream.openedAt).toEqual([]);
  expect(delay.observe).toHaveBeenCalledTimes(1);
  expect(events).toEqual([]);
});

test("when NDN is silent the upstream serves, under its own name, and NDN is cancelled", async () => {
  const ndn = silent();
  const read = await readOver(hedged(ndn, holds(blob, "upstream")));
  expect(read).toEqual({ source: "upstream", contributors: ["upstream"] });
  expect(ndn.signals[0]?.reason).toBeInstanceOf(Overtaken);
  expect(events).toEqual(["hedge after 1000", "ndn: Overtaken"]);
});

test.each([
  [1_500, "ndn"],
  [5_000, "upstream"],
])("while NDN brings other blobs, one is late after four seconds only: after %i ms", async (afterMs, source) => {
  const late = new Promise<void>((resolve) => {
    setTimeout(resolve, afterMs);
  });
  const upstream = holds(blob, "upstream");
  const read = await readOver(
    hedged(waitsFor(late, blob), upstream, { delay: createHedgeDelay({ mode: "auto" }), isBusy: () => true }),
  );
  expect(read.source).toBe(source);
  expect(upstream.openedAt).toHaveLength(source === "ndn" ? 0 : 1);
});

test("metadata alone is not enough: it is bytes that count", async () => {
  const ndn = stalls(0, blob);
  expect((await readOver(hedged(ndn, holds(blob, "upstream")))).source).toBe("upstream");
  expect(ndn.signals[0]?.reason).toBeInstanceOf(Overtaken);
});

/** Answers after so long, and has bytes after three times that and some. */
function farAway(answerMs: number, moreMs = 0): BlobSource {
  const after = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));
  return opens(async (ref, from, signal) => {
    await after(answerMs);
    from.arrived?.();
    await after(2 * answerMs + moreMs);
    return holds(blob).open(ref, from, signal);
  });
}

test("a path that has answered is given three times as long for its first bytes, up to four seconds", async () => {
  const delay = createHedgeDelay({ mode: "auto" });
  const upstream = holds(blob, "upstream");
  expect((await readOver(hedged(farAway(600, -1), upstream, { delay }))).source).toBe("ndn");
  expect(upstream.openedAt).toEqual([]);
});

test.each([
  ["has no bytes by then", farAway(600, 1_000), createHedgeDelay({ mode: "auto" }), 1_800],
  ["is near and has no bytes after a second", farAway(100, 5_000), createHedgeDelay({ mode: "auto" }), 1_000],
  ["has not answered within a second", farAway(1_001, 1), createHedgeDelay({ mode: "auto" }), 1_000],
  ["is far away and late for a fixed time", farAway(600), createHedgeDelay({ mode: 700 }), 700],
])("one that %s is hedged", async (_, ndn, delay, afterMs) => {
  await readOver(hedged(ndn, stalls(0, blob, "upstream"), { delay }));
  expect(events[0]).toBe(`hedge after ${afterMs}`);
});

test("NDN may still win, and then the upstream is cancelled", async () => {
  const late = new Promise<void>((resolve) => {
    setTimeout(resolve, 1_500);
  });
  const upstream = stalls(0, blob, "upstream");
  expect((await readOver(hedged(waitsFor(late, blob), upstream))).source).toBe("ndn");
  expect(upstream.signals[0]?.reason).toBeInstanceOf(Overtaken);
  expect(events).toEqual(["hedge after 1000", "upstream: Overtaken"]);
});

test("when NDN fails before it is late, the next source is asked at once", async () => {
  const upstream = holds(blob, "upstream");
  const reading = openWithFallback([hedged(unavailable(), upstream), upstream], blob.ref, never);
  expect((await reading).source).toBe("upstream");
  expect(upstream.openedAt).toHaveLength(1);
});

test("a winner that breaks off is followed by the next source at its byte", async () => {
  const upstream = holds(blob, "upstream");
  const read = await readOver(hedged(breaksAfter(70_000, blob), upstream), upstream);
  expect(read).toEqual({ source: "ndn", contributors: ["ndn", "upstream"] });
  expect(upstream.openedAt).toEqual([70_000]);
});

test("NDN sources of one read share their patience", async () => {
  const hedge = hedgeFor(optionsWith(holds(blob, "upstream")));
  const first = fails(new BlobUnavailable("no route"), 800, "ndn");
  expect((await readOver(hedge(first), hedge(silent()))).source).toBe("upstream");
  expect(events).toEqual(["hedge after 200", "ndn: Overtaken"]);
});

test.each([
  refusal,
  new UpstreamAnswer(429, {}, Buffer.alloc(0)),
  new NotShareable("chunked"),
  new BlobUnavailable("unreachable"),
])("%o of the upstream does not end NDN where no right is needed", async (answer) => {
  const late = new Promise<void>((resolve) => {
    setTimeout(resolve, 1_500);
  });
  expect((await readOver(hedged(waitsFor(late, blob), fails(answer, 100)))).source).toBe("ndn");
});

test("where a right is needed the upstream's refusal is the puller's at once, its other troubles are not", async () => {
  const ndn = silent();
  const read = readOver(hedged(ndn, fails(refusal, 100), { needsRight: true }));
  await expect(read).rejects.toBe(refusal);
  expect(ndn.signals[0]?.reason).toBe(refusal);
  const late = new Promise<void>((resolve) => {
    setTimeout(resolve, 1_500);
  });
  const overloaded = fails(new UpstreamAnswer(503, {}, Buffer.alloc(0)), 100);
  expect((await readOver(hedged(waitsFor(late, blob), overloaded, { needsRight: true }))).source).toBe("ndn");
});

test("with both failed the upstream's answer is the puller's, its silence is left to the next source", async () => {
  const ndn = fails(new BlobUnavailable("stalled"), 1_500, "ndn");
  await expect(readOver(hedged(ndn, fails(refusal, 100)))).rejects.toBe(refusal);
  expect(events).toEqual(["hedge after 1000", "ndn: BlobUnavailable"]);
  const next = holds(blob, "upstream");
  expect((await readOver(hedged(ndn, unavailable("upstream")), next)).source).toBe("upstream");
  expect(next.openedAt).toEqual([0]);
});

test("NDN with another size than the upstream's does not win", async () => {
  const late = new Promise<void>((resolve) => {
    setTimeout(resolve, 1_500);
  });
  const other = waitsFor(late, { ...blob, bytes: blob.bytes.subarray(1) });
  const later = new Promise<void>((resolve) => {
    setTimeout(resolve, 2_000);
  });
  expect((await readOver(hedged(other, waitsFor(later, blob, "upstream")))).source).toBe("upstream");
  expect(events).toEqual(["hedge after 1000", "ndn: BlobUnavailable"]);
});

test("an abort ends both, also when bytes are there that no one asks for any more", async () => {
  const [ndn, upstream, reader] = [silent(), silent("upstream"), new AbortController()];
  const opening = hedged(ndn, upstream).open(blob.ref, fromStart, reader.signal);
  opening.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(1_100);
  reader.abort(new Error("reader left"));
  await expect(opening).rejects.toThrow("reader left");
  expect([ndn.signals[0]?.aborted, upstream.signals[0]?.aborted]).toEqual([true, true]);

  const [ended, second] = [vi.fn(), new AbortController()];
  const endless = opens(async () => ({
    sizeBytes: 10,
    chunks: (async function* () {
      try {
        for (;;) yield Buffer.of(1);
      } finally {
        ended();
      }
    })(),
  }));
  await hedged(endless, upstream).open(blob.ref, fromStart, second.signal);
  expect(ended).not.toHaveBeenCalled();
  second.abort();
  await vi.advanceTimersByTimeAsync(0);
  expect(ended).toHaveBeenCalledTimes(1);
});

test("only so many hedges ask the upstream at a time", async () => {
  const limit = new Semaphore(2);
  const upstream = silent("upstream");
  const gates = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
  const reads = gates.map(({ promise }) =>
    hedged(waitsFor(promise, blob), upstream, { limit }).open(blob.ref, fromStart, never),
  );
  await vi.advanceTimersByTimeAsync(5_000);
  expect(upstream.signals).toHaveLength(2);
  gates[0]!.resolve();
  expect((await reads[0]!).source).toBe("ndn");
  await vi.advanceTimersByTimeAsync(0);
  expect(upstream.signals.map(({ aborted }) => aborted)).toEqual([true, false, false]);
  for (const { resolve } of gates) resolve();
  await Promise.all(reads);
});

test("one that is answered but overtaken lengthens the patience, a silent one does not", async () => {
  const delay = createHedgeDelay({ mode: "auto" });
  await readOver(hedged(silent(), holds(blob, "upstream"), { delay }));
  expect(delay.delayMs()).toBe(1_000);
  await readOver(hedged(stalls(0, blob), holds(blob, "upstream"), { delay }));
  expect(delay.delayMs()).toBeGreaterThanOrEqual(2_000);
});

test("without a hedge the source is what it was", () => {
  const ndn = holds(blob);
  expect(hedged(ndn, holds(blob, "upstream"), { delay: createHedgeDelay({ mode: "off" }) })).toBe(ndn);
});

test("metadata that NDN itself finds wrong is no reason to break off before the first byte", async () => {
  expect((await readOver(hedged(corrupt(), holds(blob)), holds(blob, "upstream"))).source).toBe("upstream");
});
