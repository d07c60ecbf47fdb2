/** The endpoint looks like docker-registry itself: the same requests, straight and through the client, side by side. */
import { beforeAll, expect, test } from "vitest";
import { type Answer, ask } from "#test/client/endpoint.ts";
import { pushBlob, pushManifest } from "#test/support/oci-push.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { useStage } from "#test/support/stage.ts";
import { startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";
import { exchange } from "./conformance/exchange.ts";

const repository = "team/app/parity";
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const patience = { timeout: 60_000 };
/** Headers that a puller or pusher decides by. */
const matter = [
  "accept-ranges",
  "content-length",
  "content-range",
  "docker-content-digest",
  "docker-distribution-api-version",
  "etag",
  "link",
  "www-authenticate",
];

describeWith(wholePathPrograms, "the endpoint and docker-registry", () => {
  const stage = useStage();
  let path: WholePath;
  let blob: string;
  let manifest: string;
  const content = randomBytesOf("parity", 3000);

  beforeAll(async () => {
    path = await startWholePath(stage);
    const { url } = path.registry;
    const config = await pushBlob(url, repository, Buffer.from("{}"));
    const layer = await pushBlob(url, repository, content);
    await pushBlob(url, repository, Buffer.alloc(0));
    const image = { schemaVersion: 2, mediaType: manifestType, config, layers: [layer] };
    for (const tag of ["a", "b", "c"]) manifest = (await pushManifest(url, repository, tag, image)).digest;
    blob = layer.digest;
  }, 60_000);

  async function sideBySide(url: string, options: Parameters<typeof ask>[2] = {}): Promise<Answer> {
    const straight = await exchange(path.registry.url, url, options);
    const through = await exchange(path.client.url, url, options);
    const what = `${options.method ?? "GET"} ${url} ${JSON.stringify(options.headers ?? {})}`;
    const pick = ({ status, headers, body }: Answer) => ({
      what,
      status,
      headers: matter.map((name) => `${name}: ${headers[name]?.toString().toLowerCase()}`),
      body: body.toString("latin1").replaceAll(/boundary=\S+|--[0-9a-f]{30,}/g, "boundary"),
    });
    expect(pick(through)).toEqual(pick(straight));
    return through;
  }

  test("reading is answered the same", patience, async () => {
    const blobs = `/v2/${repository}/blobs`;
    const manifests = `/v2/${repository}/manifests`;
    for (const method of ["GET", "HEAD"]) {
      await sideBySide("/v2/", { method });
      await sideBySide(`${blobs}/${blob}`, { method });
      await sideBySide(`${blobs}/${digestOf(Buffer.alloc(0))}`, { method });
      await sideBySide(`${blobs}/sha256:${"0".repeat(64)}`, { method });
      await sideBySide(`${blobs}/sha256:short`, { method });
      await sideBySide(`${manifests}/a`, { method, headers: { accept: manifestType } });
      await sideBySide(`${manifests}/${manifest}`, { method, headers: { accept: manifestType } });
      await sideBySide(`${manifests}/absent`, { method });
      await sideBySide("/v2/no/such/tags/list", { method });
    }
    await sideBySide(`/v2/${repository}/tags/list`);
    await sideBySide("/v2/_catalog?n=1");
    await sideBySide(`${manifests}/a`, { headers: { accept: manifestType, "if-none-match": `"${manifest}"` } });
    await sideBySide(`/v2/Upper/Case/blobs/${blob}`);
    await sideBySide(`/v2/${repository}/blobs/..%2f..%2fsecret`);
    const next = await sideBySide(`/v2/${repository}/tags/list?n=2`);
    expect(next.headers.link ?? "").not.toContain(path.registry.host);
  });

  test("ranges and conditions are answered the same", patience, async () => {
    const url = `/v2/${repository}/blobs/${blob}`;
    const ranges = ["0-", "0-2999", "0-99", "500-1499", "500-", "-500", "2000-5000", "2999-2999", "0-0,5-9"];
    for (const range of ranges) await sideBySide(url, { headers: { range: `bytes=${range}` } });
    for (const method of ["GET", "HEAD"]) {
      await sideBySide(url, { method, headers: { "if-none-match": `"${blob}"` } });
    }
    await sideBySide(url, { headers: { range: "bytes=0-9", "if-range": `"${blob}"` } });
  });

  test("a push in pieces, a mount and a DELETE work through the endpoint as they do straight", patience, async () => {
    for (const [index, base] of [path.registry.url, path.client.url].entries()) {
      const bytes = randomBytesOf(`pieces ${index}`, 200_000);
      const begun = await ask(new URL(base), `/v2/${repository}/blobs/uploads/`, { method: "POST" });
      expect(begun.status).toBe(202);
      const first = new URL(begun.headers.location!, base);
      expect(first.origin).toBe(base);
      const patched = await ask(first, first.pathname + first.search, {
        method: "PATCH",
        headers: { "content-type": "application/octet-stream" },
        body: bytes,
      });
      expect([patched.status, patched.headers.range]).toEqual([202, "0-199999"]);
      const last = new URL(patched.headers.location!, base);
      expect(last.origin).toBe(base);
      last.searchParams.set("digest", digestOf(bytes));
      const put = await ask(last, last.pathname + last.search, { method: "PUT" });
      expect([put.status, put.headers["docker-content-digest"]]).toEqual([201, digestOf(bytes)]);
      const mountUrl = `/v2/other/place${index}/blobs/uploads/?mount=${digestOf(bytes)}&from=${repository}`;
      const mounted = await ask(new URL(base), mountUrl, { method: "POST" });
      expect([mounted.status, new URL(mounted.headers.location!, base).origin]).toEqual([201, base]);
      const blobUrl = `/v2/${repository}/blobs/${digestOf(bytes)}`;
      expect((await sideBySide(blobUrl)).body.equals(bytes)).toBe(true);
      expect((await ask(new URL(base), blobUrl, { method: "DELETE" })).status).toBe(202);
      await sideBySide(blobUrl, { method: "HEAD" });
    }
  });
});
