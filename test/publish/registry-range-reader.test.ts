import type { IncomingHttpHeaders } from "node:http";
import { expect, test } from "vitest";
import type { Body } from "#oci/direct-get.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { NotPublishable } from "#publish/range-reader.ts";
import { RegistryRangeReader } from "#publish/registry-range-reader.ts";
import { blobOf } from "#test/blob/faulty-sources.ts";
import { startUpstream } from "#test/client/upstream/raw-upstream.ts";

const blob = blobOf("of unknown length", 200_000);
const size = blob.bytes.length;
const { signal } = new AbortController();

interface Answer {
  readonly status: number;
  readonly headers: (start: number, end: number) => Record<string, string>;
  readonly sizeInHead?: number;
}

/** A range of the blob, read from a registry that answers so to GETs. */
async function read({ status, headers, sizeInHead }: Answer, start: number, end: number) {
  await using registry = await startUpstream((request, response) => {
    if (request.method === "HEAD") {
      if (sizeInHead !== undefined) response.setHeader("content-length", sizeInHead);
      return void response.end();
    }
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range!)!.map(Number) as [number, number, number];
    response.writeHead(status, headers(first, last + 1) satisfies IncomingHttpHeaders);
    response.write(status === 206 ? blob.bytes.subarray(first, last + 1) : blob.bytes); // without a length: in chunks
    response.end();
  });
  const client = new RegistryClient({ base: registry.url });
  try {
    const found = await new RegistryRangeReader(client, { isListed: () => false }).read(blob.ref, start, end, signal);
    return found && { sizeBytes: found.sizeBytes, bytes: await pour(found.body) };
  } finally {
    await client.close();
  }
}

async function pour(body: Body): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const space = Buffer.alloc(64 * 1024);
  await body.pourInto({
    space: () => space,
    filled(bytes) {
      pieces.push(Buffer.from(space.subarray(0, bytes)));
      return true;
    },
  });
  return Buffer.concat(pieces);
}

const whole = { status: 200, headers: () => ({}) };
const part = (total: string) => ({
  status: 206,
  headers: (start: number, end: number) => ({ "content-range": `bytes ${start}-${end - 1}/${total}` }),
});

test.each([
  ["a 206 in chunks that says the size", part(String(size))],
  ["a 206 of unknown size, where HEAD says it", { ...part("*"), sizeInHead: size }],
  ["a 200 in chunks, where HEAD says the size", { ...whole, sizeInHead: size }],
])("a range is read from %s", async (_, answer) => {
  const found = await read(answer, 1000, 3000);
  expect(found?.sizeBytes).toBe(size);
  expect(found?.bytes.equals(blob.bytes.subarray(1000, 3000))).toBe(true);
});

test.each([
  ["a 206 of unknown size", part("*")],
  ["a 200 in chunks", whole],
  ["a 200 in chunks, where HEAD says 0", { ...whole, sizeInHead: 0 }],
])("%s is not published when no one says the size", async (_, answer) => {
  const failure: unknown = await read(answer, 1000, 3000).catch((err: unknown) => err);
  expect(failure).toBeInstanceOf(NotPublishable);
  expect((failure as Error).message).toContain("does not say how long");
});

const gzip = { "content-encoding": "gzip" };
test.each([
  ["a 206", { ...part(String(size)), more: gzip }],
  ["a 200 with its length", { ...whole, more: { ...gzip, "content-length": String(size) } }],
  ["a 200 in chunks", { ...whole, more: gzip, sizeInHead: size }],
  ["a 200 of an unknown coding", { ...whole, more: { "content-encoding": "other" }, sizeInHead: size }],
])("%s that is encoded is not publishable", async (_, { headers, more, ...answer }) => {
  const encoded = { ...answer, headers: (start: number, end: number) => ({ ...headers(start, end), ...more }) };
  await expect(read(encoded, 1000, 3000)).rejects.toThrow(NotPublishable);
});

test("a registry is asked not to encode, also without the HTTP library", async () => {
  let accepted: string | undefined;
  await using registry = await startUpstream(({ headers }, response) => {
    accepted = headers["accept-encoding"];
    response.writeHead(404).end();
  });
  const client = new RegistryClient({ base: registry.url });
  await new RegistryRangeReader(client, { isListed: () => false }).read(blob.ref, 0, 1, signal);
  expect(accepted).toBe("identity");
  await client.close();
});
