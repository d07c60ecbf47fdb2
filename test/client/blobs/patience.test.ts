/** The upstream is waited for as long as the puller waits, when no other source is left; else it is given up in time. */
import type { ServerResponse } from "node:http";
import { expect, test, vi } from "vitest";
import { blobOf, breaksAfter, holds, repository, type TestBlob, unavailable } from "#test/blob/faulty-sources.ts";
import { outwait, type RawUpstream, shortTimeouts, startUpstream } from "#test/client/upstream/raw-upstream.ts";
import { until } from "#test/support/until.ts";
import { ask, type Endpoint, type EndpointOptions, startEndpoint } from "../endpoint.ts";

const blob = blobOf("patience", 400_000);
const { digest } = blob.ref;
const path = `/v2/${repository}/blobs/${digest}`;
const half = blob.bytes.length / 2;
/** Patience with a source that is not the last one. */
const impatient: EndpointOptions = { timeouts: shortTimeouts, stallTimeoutMs: 50 };

/** How an upstream pauses while it answers with the bytes from `start` on. */
type Slow = (response: ServerResponse, bytes: Buffer, pause: Promise<void>) => Promise<void>;

const beforeHeaders: Slow = async (response, bytes, pause) => {
  await pause;
  response.end(bytes);
};
const beforeBytes: Slow = async (response, bytes, pause) => {
  response.flushHeaders();
  await pause;
  response.end(bytes);
};
const inTheMiddle: Slow = async (response, bytes, pause) => {
  response.write(bytes.subarray(0, half));
  await pause;
  response.end(bytes.subarray(half));
};

interface SlowUpstream extends RawUpstream {
  /** Paths with methods, as they came; not those of `outwait`. */
  asked(method: string): (string | undefined)[];
  resume(): void;
}

/** An upstream that answers GETs of the blob slowly, and HEADs at once. */
async function slowUpstream(slow: Slow, { knowsRanges = true, slowHead = false } = {}): Promise<SlowUpstream> {
  const { promise: pause, resolve: resume } = Promise.withResolvers<void>();
  const upstream = await startUpstream((request, response) => {
    if (request.url !== path) return;
    const [, first, last] = (knowsRanges && /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "")) || [];
    const start = Number(first ?? 0);
    const bytes = blob.bytes.subarray(start, last ? Number(last) + 1 : undefined);
    response.statusCode = start > 0 ? 206 : 200;
    response.setHeader("content-length", bytes.length);
    const end = start + bytes.length;
    if (start > 0) response.setHeader("content-range", `bytes ${start}-${end - 1}/${blob.bytes.length}`);
    if (request.method === "GET" || slowHead) void slow(response, bytes, pause);
    else response.end();
  });
  const asked = (method: string) =>
    upstream.seen
      .filter((request) => request.method === method && request.url === path)
      .map(({ headers }) => headers.range);
  return { ...upstream, asked, resume };
}

/** The path over NDN has the bytes before `offset` of this blob, and is asked once more in the end. */
function firstAndLast(offset: number, ofBlob: TestBlob) {
  const ndn = breaksAfter(offset, ofBlob);
  return { ndn, paths: { paths: () => ({ first: [ndn], lastResort: { ...ndn } }) } };
}

/** One GET is asked, outwaited by all time-outs, and answered with the blob. */
async function expectPatience(endpoint: Endpoint, upstream: SlowUpstream): Promise<void> {
  const asked = ask(endpoint.url, path);
  await until("the GET", () => upstream.asked("GET").length === 1);
  await outwait(upstream);
  upstream.resume();
  expect((await asked).body.equals(blob.bytes)).toBe(true);
  expect(upstream.asked("GET")).toHaveLength(1);
}

test.each([
  ["before its headers", beforeHeaders, {}],
  ["between headers and body", beforeBytes, {}],
  ["in the middle of the body", inTheMiddle, {}],
  ["in the middle, without ranges", inTheMiddle, { knowsRanges: false }],
] as const)("an upstream that pauses %s is asked once, and waited for", async (_, slow, options) => {
  await using upstream = await slowUpstream(slow, options);
  await using endpoint = await startEndpoint(upstream.url, undefined, impatient);
  await expectPatience(endpoint, upstream);
});

test.each([
  ["asked after NDN has failed", "off"],
  ["asked as well because NDN is late", 1],
] as const)("an upstream is waited for when it was %s", async (_, hedge) => {
  await using upstream = await slowUpstream(beforeHeaders);
  const ndn = unavailable();
  await using endpoint = await startEndpoint(upstream.url, ndn, { ...impatient, hedge });
  await expectPatience(endpoint, upstream);
});

test("an upstream that is silent gives way to NDN, and is waited for when that fails too", async () => {
  await using upstream = await slowUpstream(beforeHeaders);
  const { ndn, paths } = firstAndLast(1000, blob);
  await using endpoint = await startEndpoint(upstream.url, paths, impatient);
  const asked = ask(endpoint.url, path);
  await until("NDN, once more", () => ndn.openedAt.length === 2);
  const before = await until("the last GET", () => upstream.asked("GET").length > 1 && upstream.asked("GET").length);
  await outwait(upstream);
  upstream.resume();
  expect((await asked).body.equals(blob.bytes)).toBe(true);
  expect(upstream.asked("GET").length - before).toBeLessThanOrEqual(1);
});

test.each(["bytes=1000-1999", "bytes=5-"])("the upstream's answer to %s is waited for", async (range) => {
  await using upstream = await slowUpstream(beforeHeaders);
  await using endpoint = await startEndpoint(upstream.url, undefined, impatient);
  const asked = ask(endpoint.url, path, { headers: { range } });
  await until("the GET", () => upstream.asked("GET").length === 1);
  await outwait(upstream);
  upstream.resume();
  expect((await asked).status).toBe(206);
});

test.each([
  ["no other source", undefined],
  ["NDN, which fails", unavailable()],
] as const)("the upstream's answer to a HEAD is waited for where there is %s", async (_, ndn) => {
  await using upstream = await slowUpstream(beforeHeaders, { slowHead: true });
  await using endpoint = await startEndpoint(upstream.url, ndn, impatient);
  const asked = ask(endpoint.url, path, { method: "HEAD" });
  await until("the HEAD", () => upstream.asked("HEAD").length === (ndn ? 2 : 1));
  await outwait(upstream);
  upstream.resume();
  expect(await asked).toMatchObject({ status: 200, headers: { "content-length": "400000" } });
});

test("a range that only the silent upstream and NDN have comes over NDN in the end", async () => {
  await using upstream = await slowUpstream(beforeHeaders);
  const ndn = holds(blob);
  await using endpoint = await startEndpoint(upstream.url, ndn, { ...impatient, hedge: "off" });
  const { status, headers, body } = await ask(endpoint.url, path, { headers: { range: "bytes=1000-1999" } });
  expect([status, headers["x-blob-source"]]).toEqual([206, "ndn"]);
  expect(body.equals(blob.bytes.subarray(1000, 2000))).toBe(true);
});

test("the upstream may pause in the middle of a range, also where NDN could have been asked", async () => {
  await using upstream = await slowUpstream(inTheMiddle);
  await using endpoint = await startEndpoint(upstream.url, unavailable(), impatient);
  const asked = ask(endpoint.url, path, { headers: { range: "bytes=1000-300999" } });
  await until("the GET", () => upstream.asked("GET").length === 1);
  await outwait(upstream);
  upstream.resume();
  expect((await asked).body.equals(blob.bytes.subarray(1000, 301_000))).toBe(true);
});

test("a puller that goes away ends the wait", async () => {
  await using upstream = await slowUpstream(beforeHeaders);
  await using endpoint = await startEndpoint(upstream.url, undefined, impatient);
  const gone = new AbortController();
  const asked = fetch(new URL(path, endpoint.url), { signal: gone.signal });
  await until("the GET", () => upstream.asked("GET").length === 1);
  gone.abort();
  await expect(asked).rejects.toThrow();
  await until("the end of the GET", () => upstream.seen.every(({ socket }) => socket.destroyed));
});

test("the paths over NDN are asked for once per blob, as that takes the turn of one that is tried", async () => {
  await using upstream = await slowUpstream(beforeBytes);
  const paths = vi.fn(() => ({ first: [holds(blob)], lastResort: undefined }));
  await using endpoint = await startEndpoint(upstream.url, { paths });
  expect((await ask(endpoint.url, path)).headers["x-blob-source"]).toBe("ndn");
  expect(paths).toHaveBeenCalledTimes(1);
});
