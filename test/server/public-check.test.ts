import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { RegistryClient } from "#oci/registry-client.ts";
import type { RangeReader } from "#publish/range-reader.ts";
import { PublicCheck } from "#server/public-check.ts";
import { PublishPolicy } from "#server/publish-policy.ts";
import { blobOf } from "#test/blob/faulty-sources.ts";
import { startUpstream } from "#test/client/upstream/raw-upstream.ts";

const blob = blobOf("on disk", 1_000);
const { signal } = new AbortController();
const storage: RangeReader = {
  read: async () => ({ sizeBytes: 1_000, body: { pourInto: async () => {}, cancel: () => {} } }),
};

type Answer = (response: ServerResponse) => unknown;
const status = (code: number): Answer => {
  return (response) => response.writeHead(code).end();
};
const firstByte: Answer = (response) => response.writeHead(206, { "content-range": "bytes 0-0/1000" }).end("x");

/** Read the blob twice behind a registry that answers HEAD and GET so; what was read, and what was asked. */
async function readTwice(head: Answer, get: Answer) {
  await using registry = await startUpstream((request, response) => {
    (request.method === "HEAD" ? head : get)(response);
  });
  const client = new RegistryClient({ base: registry.url });
  const check = new PublicCheck(storage, client, new PublishPolicy({ publish: [], exclude: [] }));
  try {
    const reads = [await check.read(blob.ref, 0, 10, signal), await check.read(blob.ref, 0, 10, signal)];
    return { sizes: reads.map((read) => read?.sizeBytes), asked: registry.seen.map(({ method }) => method) };
  } finally {
    await client.close();
  }
}

test.each([
  ["401", status(401)],
  ["403", status(403)],
  ["404", status(404)],
  ["405", status(405)],
  ["500", status(500)],
  ["a 200 with Content-Length 0", (response: ServerResponse) => response.writeHead(200, { "content-length": 0 }).end()],
] as const)("a public blob is read from the disk although a HEAD of it brings %s", async (_, head) => {
  expect(await readTwice(head, firstByte)).toEqual({ sizes: [1_000, 1_000], asked: ["HEAD", "GET"] });
});

test.each([401, 403, 404])("a blob that the registry refuses by %d is not read from the disk", async (code) => {
  const { sizes } = await readTwice(status(code), status(code));
  expect(sizes).toEqual([undefined, undefined]);
});

test("a registry that is out of order is an error and no absent blob", async () => {
  await expect(readTwice(status(503), status(503))).rejects.toThrow("registry answered 503");
});
