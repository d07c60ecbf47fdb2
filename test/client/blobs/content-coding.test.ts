/** Upstreams that encode blobs although they were asked not to: pullers get, and the cache keeps, what was meant. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { collectBytes } from "#blob/verify.ts";
import { blobOf, breaksAfter, repository, type TestBlob } from "#test/blob/faulty-sources.ts";
import { startUpstream } from "#test/client/upstream/raw-upstream.ts";
import { ask, startEndpoint } from "../endpoint.ts";
import { useCachedStage } from "./cached-stage.ts";

const stage = useCachedStage();
const small = blobOf("small and encoded", 200_000);
const large = blobOf("large and encoded", collectBytes + 3_000_000);
const pathOf = ({ ref }: TestBlob) => `/v2/${repository}/blobs/${ref.digest}`;

interface Encoding {
  readonly coding: string;
  readonly encode: (bytes: Buffer) => Buffer;
  /** Whether ranges are answered by parts of what is encoded. */
  readonly knowsRanges?: boolean;
  /** Ends the first whole answer of each blob after so many bytes. */
  readonly breaksAfterBytes?: number;
}

/** An upstream that encodes all blobs. */
function encodingUpstream({ coding, encode, knowsRanges = false, breaksAfterBytes }: Encoding) {
  const broken = new Set<string>();
  return startUpstream((request: IncomingMessage, response: ServerResponse) => {
    const url = request.url!;
    const bytes = encode([small, large].find((one) => pathOf(one) === url)!.bytes);
    response.setHeader("content-encoding", coding);
    const start = knowsRanges ? Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0) : 0;
    response.setHeader("content-length", bytes.length - start);
    if (start > 0) response.writeHead(206, { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` });
    if (request.method === "HEAD") return void response.end();
    if (breaksAfterBytes === undefined || broken.has(url)) return void response.end(bytes.subarray(start));
    broken.add(url);
    response.write(bytes.subarray(0, breaksAfterBytes), () => response.destroy());
  });
}

const gzip = { coding: "gzip", encode: (bytes: Buffer) => gzipSync(bytes, { level: 1 }) };

test.each<[Encoding, TestBlob]>([
  [gzip, small],
  [gzip, large],
  [{ ...gzip, coding: "x-gzip" }, small],
  [{ ...gzip, coding: "GZIP" }, small],
  [{ coding: "deflate", encode: (bytes) => deflateSync(bytes) }, small],
  [{ coding: "br", encode: (bytes) => brotliCompressSync(bytes, { params: { 1: 1 } }) }, small],
  [{ coding: "zstd", encode: (bytes) => zstdCompressSync(bytes) }, small],
  [{ coding: "deflate, gzip", encode: (bytes) => gzipSync(deflateSync(bytes)) }, small],
  [{ coding: "identity", encode: (bytes) => bytes }, small],
])("what is encoded by $coding is decoded, sent and kept", async (encoding, blob) => {
  await using upstream = await encodingUpstream(encoding);
  await using endpoint = await stage.start(upstream.url);
  for (const source of ["upstream", "store"]) {
    const { status, headers, body } = await ask(endpoint.url, pathOf(blob));
    expect([status, headers["x-blob-source"], headers["content-length"]]).toEqual([
      200,
      source,
      String(blob.bytes.length),
    ]);
    expect(headers["content-encoding"]).toBeUndefined();
    expect(body.equals(blob.bytes)).toBe(true);
  }
});

test.each([false, true])(
  "where NDN breaks off, what is encoded is decoded from its start and goes on from there (ranges: %s)",
  async (knowsRanges) => {
    await using upstream = await encodingUpstream({ ...gzip, knowsRanges });
    await using endpoint = await stage.start(upstream.url, breaksAfter(1_000_001, large));
    const { headers, body } = await ask(endpoint.url, pathOf(large));
    expect(headers["x-blob-source"]).toBe("ndn");
    expect(body.equals(large.bytes)).toBe(true);
  },
);

test.each([small, large])("an encoded answer that breaks off is asked for once more", async (blob) => {
  await using upstream = await encodingUpstream({ ...gzip, breaksAfterBytes: blob.bytes.length / 2 });
  await using endpoint = await stage.start(upstream.url);
  expect((await ask(endpoint.url, pathOf(blob))).body.equals(blob.bytes)).toBe(true);
});

test("a coding that is not known is the puller's, as it would be without the client", async () => {
  await using upstream = await encodingUpstream({ coding: "compress", encode: (bytes) => bytes.subarray(0, 1000) });
  await using endpoint = await stage.start(upstream.url);
  const { status, headers, body } = await ask(endpoint.url, pathOf(small));
  expect([status, headers["content-encoding"], body.length]).toEqual([200, "compress", 1000]);
  expect(endpoint.store.usedBytes).toBe(0);
});

test("a few bytes that decode to many more than the blob has are given up, and nothing of them is kept", async () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  await using upstream = await encodingUpstream({ coding: "gzip", encode: () => bomb });
  await using endpoint = await stage.start(upstream.url);
  expect((await ask(endpoint.url, pathOf(small))).status).toBe(503);
  expect(endpoint.store.usedBytes).toBe(0);
});

test("a range of what is encoded is one of what was meant, or passed on as it is", async () => {
  await using upstream = await encodingUpstream({ ...gzip, knowsRanges: true });
  await using endpoint = await startEndpoint(upstream.url);
  const rest = await ask(endpoint.url, pathOf(small), { headers: { range: "bytes=100-" } });
  expect([rest.status, rest.headers["content-encoding"]]).toEqual([206, undefined]);
  expect(rest.body.equals(small.bytes.subarray(100))).toBe(true);
  const part = await ask(endpoint.url, pathOf(large), { headers: { range: "bytes=100-9999999" } });
  expect([part.status, part.headers["content-encoding"]]).toEqual([206, "gzip"]);
});

test("the length of what is encoded is not the blob's", async () => {
  await using upstream = await encodingUpstream(gzip);
  await using endpoint = await stage.start(upstream.url, breaksAfter(small.bytes.length, small));
  await ask(endpoint.url, pathOf(small), { method: "HEAD" });
  const { headers, body } = await ask(endpoint.url, pathOf(small));
  expect(headers["x-blob-source"]).toBe("ndn");
  expect(body.equals(small.bytes)).toBe(true);
});
