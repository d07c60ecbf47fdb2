import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signalOf } from "#client/http/answers.ts";
import { answerCached } from "#client/http/cached-answer.ts";
import { parseSha256 } from "#oci/reference.ts";
import { blobOf } from "#test/blob/faulty-sources.ts";
import { type Answer, ask } from "#test/client/endpoint.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { useStage } from "#test/support/stage.ts";
import { MemoryStore } from "../../fetch/memory-store.ts";

const blob = blobOf("cached", 3_000);
const empty = blobOf("cached empty", 0);
const big = blobOf("cached big", 20_000_000);
const etag = `"${blob.ref.digest}"`;
const path = ({ ref }: typeof blob) => `/v2/${ref.repository}/blobs/${ref.digest}`;

const store = new MemoryStore();
const written: number[] = [];
let server: Server;
let url: URL;

beforeAll(async () => {
  for (const { ref, bytes } of [blob, empty, big]) await store.put(ref.digest, bytes);
  server = createServer((incoming, response) => {
    const digest = parseSha256(incoming.url!.split("/").at(-1)!)!;
    const serve = async () => {
      const cached = (await store.open(digest))!;
      try {
        const options = { signal: signalOf(response), wrote: (bytes: number) => void written.push(bytes) };
        await answerCached(incoming, response, cached, options);
      } catch {
        response.destroy();
      } finally {
        await cached.close();
      }
    };
    void serve();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterAll(() => server.close());

const get = (headers: Record<string, string>, of = blob, method = "GET") => ask(url, path(of), { method, headers });

test("a cached blob is answered with all its headers, and says that it is from the store", async () => {
  const { status, headers, body } = await get({});
  expect([status, body.equals(blob.bytes)]).toEqual([200, true]);
  expect(headers).toMatchObject({
    etag,
    "content-length": "3000",
    "accept-ranges": "bytes",
    "docker-content-digest": blob.ref.digest,
    "x-blob-source": "store",
    "cache-status": "ndn-registry; hit; detail=store",
  });
  expect((await get({}, empty)).body).toHaveLength(0);
});

test("HEAD is answered without a body, whatever range it names", async () => {
  const { status, headers, body } = await get({ range: "bytes=0-9" }, blob, "HEAD");
  expect([status, headers["content-length"], headers["content-range"], body.length]).toEqual([
    200,
    "3000",
    undefined,
    0,
  ]);
  expect((await get({ "if-none-match": etag }, blob, "HEAD")).status).toBe(304);
});

test.each([
  ["bytes=0-99", 0, 100],
  ["bytes=500-1499", 500, 1_500],
  ["bytes=500-", 500, 3_000],
  ["bytes=-500", 2_500, 3_000],
  ["bytes=-5000", 0, 3_000],
  ["bytes=2000-5000", 2_000, 3_000],
  ["bytes=2999-2999", 2_999, 3_000],
  ["bytes=0-9223372036854775807", 0, 3_000],
])("%s is a part", async (range, start, end) => {
  const { status, headers, body } = await get({ range });
  expect([status, headers["content-range"]]).toEqual([206, `bytes ${start}-${end - 1}/3000`]);
  expect(body.equals(blob.bytes.subarray(start, end))).toBe(true);
});

test.each(["bytes=3000-", "bytes=-0", "bytes=5-3", "bytes=abc", "bytes="])("%s is refused", async (range) => {
  const { status, headers, body } = await get({ range });
  expect([status, headers["content-range"]]).toEqual([416, "bytes */3000"]);
  expect(JSON.parse(body.toString())).toMatchObject({ errors: [{ code: "RANGE_INVALID" }] });
});

test("no range of an empty blob can be satisfied", async () => {
  for (const range of ["bytes=0-", "bytes=-5"]) {
    const { status, headers } = await get({ range }, empty);
    expect([status, headers["content-range"]]).toEqual([416, "bytes */0"]);
  }
});

test("several ranges come as parts of one answer (RFC 9110 § 14.6)", async () => {
  const { status, headers, body } = await get({ range: "bytes=0-0, 5-9,,-2" });
  const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(headers["content-type"] ?? "")?.[1];
  expect([status, Number(headers["content-length"])]).toEqual([206, body.length]);
  const part = (start: number, end: number) =>
    Buffer.concat([
      Buffer.from(`--${boundary}\r\nContent-Range: bytes ${start}-${end - 1}/3000\r\n`),
      Buffer.from("Content-Type: application/octet-stream\r\n\r\n"),
      blob.bytes.subarray(start, end),
      Buffer.from("\r\n"),
    ]);
  const all = [part(0, 1), part(5, 10), part(2_998, 3_000), Buffer.from(`--${boundary}--\r\n`)];
  expect(body.equals(Buffer.concat(all))).toBe(true);
});

test.each([
  ["bytes=0-0,4000-", 206, "bytes 0-0/3000"],
  ["bytes=4000-,5000-5001", 416, "bytes */3000"],
  ["bytes=0-2999,0-2999", 200, undefined],
  ["bytes=5-3,0-0", 416, "bytes */3000"],
  [`bytes=${Array.from({ length: 17 }, (_, i) => `${i}-${i}`).join(",")}`, 200, undefined],
])("of %s one part, all or nothing is left: %s", async (range, status, contentRange) => {
  const answer = await get({ range });
  expect([answer.status, answer.headers["content-range"]]).toEqual([status, contentRange]);
  if (status === 200) expect(answer.body.equals(blob.bytes)).toBe(true);
});

test("other units mean nothing", async () => {
  expect((await get({ range: "items=0-5" })).status).toBe(200);
  // Conditions go first, and a range that does not count asks for nothing.
  expect((await get({ range: "bytes=0-0,5-9", "if-none-match": etag })).status).toBe(304);
  expect((await get({ range: "bytes=0-0,5-9", "if-range": '"another"' })).status).toBe(200);
});

describe("conditions (RFC 9110 § 13)", () => {
  test.each([
    ["if-none-match", etag, 304],
    ["if-none-match", `W/${etag}`, 304],
    ["if-none-match", `"a", W/"b,c" , ${etag}`, 304],
    ["if-none-match", "*", 304],
    ["if-none-match", '"another"', 200],
    ["if-none-match", blob.ref.digest, 200],
    ["if-match", etag, 200],
    ["if-match", "*", 200],
    ["if-match", '"another"', 412],
    ["if-match", `W/${etag}`, 412],
    ["if-modified-since", "Sun, 06 Nov 2094 08:49:37 GMT", 200],
    ["if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT", 200],
  ])("%s: %s is answered with %3$s", async (name, value, expected) => {
    const { status, headers, body } = await get({ [name]: value });
    expect([status, headers.etag]).toEqual([expected, etag]);
    if (status !== 200) expect(body).toHaveLength(0);
  });

  test.each([
    [etag, 206],
    ['"another"', 200],
    [`W/${etag}`, 200],
    ["Sun, 06 Nov 1994 08:49:37 GMT", 200],
  ])("if-range: %s is answered with %i", async (value, expected) => {
    const { status, body } = await get({ range: "bytes=0-9", "if-range": value });
    expect([status, body.length]).toEqual([expected, expected === 206 ? 10 : 3_000]);
  });
});

test("what has been written is counted, and a puller that goes away ends the reading", async () => {
  written.length = 0;
  await get({ range: "bytes=10-" });
  expect(written).toEqual([2_990]);
  const sent = request({ host: url.hostname, port: url.port, path: path(big), agent: false }).end();
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  answer.destroy();
  await expect.poll(() => store.openFiles).toBe(0);
});

describeWith(["docker-registry"], "docker-registry and a cached blob", () => {
  const stage = useStage();
  let registry: URL;

  beforeAll(async () => {
    const running = stage.own(await startDockerRegistry({ folder: stage.folder }));
    registry = new URL(running.url);
    for (const { bytes } of [blob, empty]) await pushBlob(running.url, blob.ref.repository, bytes);
  }, 30_000);

  const pick = ({ status, headers, body }: Answer) => ({
    status,
    headers: ["accept-ranges", "content-length", "content-range", "content-type", "docker-content-digest", "etag"].map(
      (name) => `${name}: ${String(headers[name])}`,
    ),
    version: headers["docker-distribution-api-version"],
    body: body.toString("latin1"),
  });

  test("are the same to those who ask for all, for a part or on a condition", async () => {
    const questions: Record<string, string>[] = [
      {},
      ...["0-", "0-2999", "0-99", "500-", "-500", "-5000", "2000-5000"].map((range) => ({ range: `bytes=${range}` })),
      { "if-none-match": etag },
      { "if-none-match": `W/${etag}` },
      { "if-none-match": '"another"' },
      { "if-match": etag },
      { "if-modified-since": "Sun, 06 Nov 2094 08:49:37 GMT" },
      { range: "bytes=0-9", "if-range": etag },
      { range: "bytes=0-9", "if-range": '"another"' },
      { range: "bytes=0-9", "if-range": "Sun, 06 Nov 1994 08:49:37 GMT" },
    ];
    for (const headers of questions) {
      const straight = pick(await ask(registry, path(blob), { headers }));
      const here = pick(await get(headers));
      expect({ asked: headers, ...here }).toEqual({ asked: headers, ...straight });
    }
    for (const method of ["GET", "HEAD"]) {
      expect(pick(await get({}, empty, method))).toEqual(pick(await ask(registry, path(empty), { method })));
    }
  });

  test("refuse the same, where docker-registry breaks off its own refusals", async () => {
    for (const headers of [
      { range: "bytes=3000-" },
      { range: "bytes=5-3" },
      { range: "bytes=abc" },
      { "if-match": '"x"' },
    ]) {
      const sent = request(registry, { path: path(blob), headers, agent: false }).end();
      const [straight] = (await once(sent, "response")) as [IncomingMessage];
      straight.on("error", () => {}).resume();
      expect((await get(headers)).status).toBe(straight.statusCode);
    }
  });
});
