/** The upstream's refusal is the puller's, also when the upstream breaks off its body, or does not end it. */
import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { blobOf, holds, repository } from "#test/blob/faulty-sources.ts";
import { ask, startEndpoint } from "../endpoint.ts";
import { startUpstream } from "../upstream/raw-upstream.ts";

const blob = blobOf("refused", 100_000);
const path = `/v2/${repository}/blobs/${blob.ref.digest}`;

const breaks: [string, (response: ServerResponse) => void][] = [
  ["after some bytes", (response) => void response.write("some", () => response.destroy())],
  ["before its first byte", (response) => response.flushHeaders()],
];

test.each([401, 403, 404, 429, 500].flatMap((status) => breaks.map(([where, end]) => [status, where, end] as const)))(
  "a refusal with %d whose body breaks off %s is passed on",
  async (status, _where, end) => {
    await using upstream = await startUpstream(({ method }, response) => {
      response.writeHead(status, { "content-length": 500, "www-authenticate": "Basic realm=x" });
      if (method === "HEAD") return void response.end();
      end(response);
      setImmediate(() => response.destroy());
    });
    for (const ndn of [undefined, holds(blob)]) {
      await using endpoint = await startEndpoint(upstream.url, ndn);
      const answer = await ask(endpoint.url, path);
      expect([answer.status, answer.headers["www-authenticate"]]).toEqual([status, "Basic realm=x"]);
    }
  },
);

test.each([401, 403, 404, 429])("a refusal with %d whose body never ends is passed on", async (status) => {
  await using upstream = await startUpstream(({ method }, response) => {
    response.writeHead(status);
    if (method === "HEAD") response.end();
    else response.write("some of it");
  });
  await using endpoint = await startEndpoint(upstream.url);
  const answer = await ask(endpoint.url, path);
  expect([answer.status, answer.body.toString()]).toEqual([status, "some of it"]);
});
