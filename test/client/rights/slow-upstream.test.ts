import { Readable } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createRights, type RightsOptions } from "#client/rights/rights.ts";
import { RegistryUnreachable } from "#oci/registry-client.ts";
import { blobOf } from "#test/blob/faulty-sources.ts";
import { by } from "../puller.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

const refs = Array.from({ length: 40 }, (_, i) => blobOf(`layer ${i}`, 1_000).ref);
const [first, second, third] = refs as [(typeof refs)[0], (typeof refs)[0], (typeof refs)[0]];
const puller = by("Basic a");

interface Answer {
  /** None: no connection. */
  readonly status?: number;
  /** Infinity: never. */
  readonly afterMs: number;
}

/** An upstream that takes its time, and a puller to whom it has granted all blobs a day ago. */
function stage(answer: Answer, options: Partial<RightsOptions> = {}) {
  const upstream = { answer, asked: 0, aborted: 0 };
  const head = async (_repository: string, _digest: string, { signal }: { signal: AbortSignal }) => {
    upstream.asked += 1;
    signal.addEventListener("abort", () => (upstream.aborted += 1));
    const { status, afterMs } = upstream.answer;
    await Promise.race([
      afterMs === Number.POSITIVE_INFINITY
        ? new Promise(() => {})
        : new Promise((resolve) => void setTimeout(resolve, afterMs)),
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    ]);
    if (status === undefined) throw new RegistryUnreachable("connect ETIMEDOUT");
    return { status, headers: { "content-length": "1000" } };
  };
  const registry = {
    headBlob: head,
    // What a HEAD has refused is asked by a GET too.
    getBlob: async () => {
      if (upstream.answer.status === undefined) throw new RegistryUnreachable("connect ETIMEDOUT");
      return { status: upstream.answer.status, headers: {}, body: Readable.from([]) };
    },
  };
  const rights = createRights({ registry, registryHost: "registry.test", authorize: "upstream", ...options });
  for (const { repository, digest } of refs) rights.granted(puller.identity, repository, digest, 1_000);
  vi.advanceTimersByTime(24 * 3_600_000);
  /** What one question is answered, and after how many milliseconds. */
  const ask = async (ref = first, as = puller) => {
    const startedMs = performance.now();
    let isAnswered = false;
    const answered = rights.ask(as, ref).finally(() => (isAnswered = true));
    answered.catch(() => {});
    await vi.advanceTimersByTimeAsync(0);
    while (!isAnswered) await vi.advanceTimersByTimeAsync(100);
    return { right: await answered, waitedMs: performance.now() - startedMs };
  };
  return { rights, upstream, ask };
}

const remembered = { kind: "granted", sizeBytes: 1_000, offline: true };

test("an upstream that does not answer is waited for as long as for a tag, then briefly", async () => {
  const { ask } = stage({ afterMs: Number.POSITIVE_INFINITY });
  expect(await ask(first)).toEqual({ right: remembered, waitedMs: 4_000 });
  for (const ref of refs.slice(1, 40)) expect(await ask(ref)).toEqual({ right: remembered, waitedMs: 1_000 });
});

test("--tag-timeout says how long", async () => {
  const { ask } = stage({ afterMs: Number.POSITIVE_INFINITY }, { withCacheMs: 500 });
  for (const ref of [first, second]) expect(await ask(ref)).toEqual({ right: remembered, waitedMs: 500 });
});

test("blobs that are asked for at once are waited for at once", async () => {
  const { ask, rights } = stage({ afterMs: Number.POSITIVE_INFINITY });
  const others = [second, third].map((ref) => rights.ask(puller, ref));
  expect((await ask(first)).waitedMs).toBe(4_000);
  expect(await Promise.all(others)).toEqual([remembered, remembered]);
});

test("an upstream that is only slow is heard although the puller has been served, and keeps its time", async () => {
  const { ask, upstream } = stage({ status: 200, afterMs: 6_000 });
  expect(await ask(first)).toEqual({ right: remembered, waitedMs: 4_000 });
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await ask(first)).toEqual({ right: { kind: "granted", sizeBytes: 1_000 }, waitedMs: 0 });
  upstream.answer = { status: 403, afterMs: 3_900 };
  expect((await ask(second)).right).toEqual({ kind: "refused", status: 403 });
  expect(upstream.aborted).toBe(0);
});

test("one that answers 503 keeps its time", async () => {
  const { ask, upstream } = stage({ status: 503, afterMs: 0 });
  expect((await ask(first)).right).toEqual(remembered);
  upstream.answer = { status: 403, afterMs: 3_900 };
  expect((await ask(first)).right).toEqual({ kind: "refused", status: 403 });
});

test("one that cannot be connected to is waited for briefly, until it answers", async () => {
  const { ask, upstream } = stage({ afterMs: 0 });
  expect((await ask(first)).right).toEqual(remembered);
  upstream.answer = { status: 200, afterMs: 3_000 };
  expect(await ask(second)).toEqual({ right: remembered, waitedMs: 1_000 });
  await vi.advanceTimersByTimeAsync(2_000);
  expect((await ask(third)).right).toEqual({ kind: "granted", sizeBytes: 1_000 });
});

test.each([401, 403, 404])(
  "a %d that came late refuses the next pull, also while the upstream is silent",
  async (status) => {
    const { ask, upstream, rights } = stage({ status, afterMs: 6_000 });
    expect((await ask(first)).right).toEqual(remembered);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(rights.mayOffline(puller.identity, first.repository, first.digest)).toBe(false);
    upstream.answer = { afterMs: Number.POSITIVE_INFINITY };
    const served: unknown[] = [];
    rights.ask(puller, first).then(
      (right) => served.push(right),
      () => {},
    );
    await vi.advanceTimersByTimeAsync(60_000);
    expect(served).toEqual([]);
  },
);

test("what was granted without a login does not outweigh a refusal of this puller, for 5 minutes", async () => {
  const { ask, upstream, rights } = stage({ status: 403, afterMs: 6_000 });
  rights.granted(undefined, first.repository, first.digest, 1_000);
  expect((await ask(first)).right).toEqual(remembered);
  await vi.advanceTimersByTimeAsync(2_000);
  upstream.answer = { afterMs: 0 };
  await expect(ask(first)).rejects.toThrow(RegistryUnreachable);
  expect((await ask(first, by("Basic b"))).right).toEqual(remembered);
  await vi.advanceTimersByTimeAsync(300_001);
  expect((await ask(first)).right).toEqual(remembered);
});

test("a late yes does not undo a refusal that was heard since", async () => {
  const { ask, rights } = stage({ status: 200, afterMs: 6_000 });
  expect((await ask(first)).right).toEqual(remembered);
  rights.refused(puller.identity, first.repository, first.digest);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(rights.mayOffline(puller.identity, first.repository, first.digest)).toBe(false);
});

test("a puller that is refused while it waits is not served as remembered", async () => {
  const { ask, rights } = stage({ status: 403, afterMs: 6_000 });
  setTimeout(() => rights.refused(puller.identity, first.repository, first.digest), 2_000);
  expect(await ask(first)).toEqual({ right: { kind: "refused", status: 403 }, waitedMs: 6_000 });
});

test("a question that is late is not asked again, and its puller not kept waiting again", async () => {
  const { ask, upstream } = stage({ status: 200, afterMs: 20_000 });
  await ask(first);
  expect(await ask(first)).toEqual({ right: remembered, waitedMs: 0 });
  expect(upstream.asked).toBe(1);
});

test("late questions end after half a minute, and 32 may be late at a time", async () => {
  const { upstream, rights } = stage({ afterMs: Number.POSITIVE_INFINITY });
  const all = refs.map((ref) => rights.ask(puller, ref));
  await vi.advanceTimersByTimeAsync(4_000);
  expect(await Promise.all(all)).toEqual(refs.map(() => remembered));
  expect(upstream.aborted).toBe(8);
  await vi.advanceTimersByTimeAsync(30_000);
  expect([upstream.aborted, vi.getTimerCount()]).toEqual([40, 0]);
});

test("where nothing is remembered, the upstream has half a minute", async () => {
  const { ask } = stage({ status: 200, afterMs: 9_000 });
  expect((await ask(first, by("Basic b"))).right).toEqual({ kind: "granted", sizeBytes: 1_000 });
});
