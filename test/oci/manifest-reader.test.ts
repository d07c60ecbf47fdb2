import { hash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { RegistryUnreachable } from "#oci/errors.ts";
import { headManifest, readManifest } from "#oci/manifest-reader.ts";
import { digestOfHash } from "#oci/reference.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { startUpstream } from "#test/client/upstream/raw-upstream.ts";

const { signal } = new AbortController();
const options = { auth: { kind: "anonymous" }, signal } as const;
const mediaType = "application/vnd.oci.image.manifest.v1+json";
const bytes = Buffer.from('{"schemaVersion":2}');
const digest = digestOfHash(hash("sha256", bytes, "buffer"));

type Answer = (response: ServerResponse, request: IncomingMessage) => unknown;

async function asking<T>(answer: Answer, ask: (client: RegistryClient) => Promise<T>): Promise<T> {
  await using registry = await startUpstream((request, response) => void answer(response, request));
  const client = new RegistryClient({ base: registry.url });
  try {
    return await ask(client);
  } finally {
    await client.close();
  }
}

const head = (client: RegistryClient) => headManifest(client, "team/app", "latest", options);
const byTag = (client: RegistryClient) => readManifest(client, "team/app", "latest", options);
const byDigest = (client: RegistryClient) => readManifest(client, "team/app", digest, options);
const status = (code: number): Answer => {
  return (response) => response.writeHead(code).end();
};
const sends = (body: Buffer, headers: Record<string, string> = {}): Answer => {
  return (response) => response.writeHead(200, { "content-type": mediaType, ...headers }).end(body);
};

test("a HEAD says what a tag means, asked for every kind of manifest", async () => {
  const answer: Answer = (response, { headers }) => {
    expect(headers.accept).toContain("application/vnd.oci.image.index.v1+json");
    expect(headers.accept).toContain("application/vnd.docker.distribution.manifest.v2+json");
    response.writeHead(200, { "docker-content-digest": digest }).end();
  };
  expect(await asking(answer, head)).toBe(digest);
});

test.each([401, 403, 404])("a tag or manifest that is refused by %i is absent", async (code) => {
  expect(await asking(status(code), head)).toBe("absent");
  expect(await asking(status(code), byDigest)).toBeUndefined();
});

test.each<[string, Answer]>([
  ["no digest", status(200)],
  [
    "a digest of another algorithm",
    (response) => response.writeHead(200, { "docker-content-digest": `sha512:${"0".repeat(128)}` }).end(),
  ],
  ["405", status(405)],
  ["501", status(501)],
  ["400", status(400)],
])("a HEAD that brings %s leaves it to a GET", async (_, answer) => {
  expect(await asking(answer, head)).toBeUndefined();
});

test.each([429, 500, 502, 503])("%i is no word about a tag or a manifest", async (code) => {
  await expect(asking(status(code), head)).rejects.toThrow(RegistryUnreachable);
  await expect(asking(status(code), byTag)).rejects.toThrow(RegistryUnreachable);
});

test("a manifest by tag has the digest of its bytes, and one by digest is what was asked for", async () => {
  const manifest = { digest, mediaType, bytes };
  expect(await asking(sends(bytes), byTag)).toEqual(manifest);
  expect(await asking(sends(bytes), byDigest)).toEqual(manifest);
  expect(await asking(sends(gzipSync(bytes), { "content-encoding": "gzip" }), byDigest)).toEqual(manifest);
});

test.each<[string, Answer]>([
  ["other bytes", sends(Buffer.from("{}"))],
  ["more than 4 MiB", sends(Buffer.alloc(4 * 1024 * 1024 + 1))],
  ["what is more than 4 MiB when decoded", sends(gzipSync(Buffer.alloc(5_000_000)), { "content-encoding": "gzip" })],
  ["an unknown encoding", sends(bytes, { "content-encoding": "x-own" })],
  ["no media type", (response) => response.writeHead(200).end(bytes)],
  ["no manifest", status(204)],
  [
    "half of it",
    (response) => {
      response.writeHead(200, { "content-type": mediaType, "content-length": "99" });
      response.write(bytes, () => response.destroy());
    },
  ],
  ["a web page", (response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>")],
])("a registry that sends %s for a digest is an error", async (_, answer) => {
  await expect(asking(answer, byDigest)).rejects.toThrow();
});
