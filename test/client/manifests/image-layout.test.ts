import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pino from "pino";
import { expect, test } from "vitest";
import { storedContents } from "#client/manifests/contents.ts";
import { openIndexFile } from "#client/manifests/index-file.ts";
import { ManifestCache } from "#client/manifests/manifest-cache.ts";
import { type Digest, hexOf } from "#oci/reference.ts";
import type { CachedBlob } from "#store/store-port.ts";
import { programPath } from "#test/support/programs.ts";
import { startRegistry, tarLayer } from "#test/support/registry.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { ask } from "./ask.ts";
import { startManifestEndpoint } from "./manifest-endpoint.ts";

const log = pino({ enabled: false });
const repository = "team/app";

/** Blobs where an OCI image layout has them. */
async function blobsIn(directory: string) {
  const folder = join(directory, "blobs", "sha256");
  await mkdir(folder, { recursive: true });
  await writeFile(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  const pathOf = (digest: Digest) => join(folder, hexOf(digest));
  const has = (digest: Digest) => existsSync(pathOf(digest));
  return {
    has,
    open: async (digest: Digest): Promise<CachedBlob | undefined> => {
      if (!has(digest)) return undefined;
      const bytes = await readFile(pathOf(digest));
      const read = async function* (start: number, end: number) {
        yield bytes.subarray(start, end);
      };
      return { digest, sizeBytes: bytes.length, read, close: async () => {} };
    },
    put: async (digest: Digest, bytes: Uint8Array) => {
      await writeFile(pathOf(digest), bytes);
      return true;
    },
    delete: async (digest: Digest) => {
      await rm(pathOf(digest));
      return true;
    },
  };
}

describeWith(["skopeo"], "the cache directory is an image layout", () => {
  test.each(["docker.io", "127.0.0.1:5000"])(
    "skopeo reads and copies a tag of %s from it; after a restart the tag is served offline",
    async (name) => {
      await using folder = await makeTemporaryFolder();
      const [directory, copy] = [join(folder.path, "cache"), join(folder.path, "copy")];
      const blobs = await blobsIn(directory);
      const contents = storedContents(blobs, log);
      const registry = await startRegistry();
      const image = registry.addImage(repository, "latest", [tarLayer({ one: "1" }), tarLayer({ two: "2" })]);
      const start = async () => {
        const cache = new ManifestCache({ contents });
        const file = await openIndexFile({ directory, cache, log });
        return { file, endpoint: await startManifestEndpoint(registry.url, { registry: name, cache, contents }) };
      };

      const first = await start();
      const straight = await ask(first.endpoint.url, `/v2/${repository}/manifests/latest`);
      for (const digest of [image.config, ...image.layers])
        await blobs.put(digest, registry.repositories.get(repository)!.blobs.get(digest)!);
      await first.file.close();
      await first.endpoint[Symbol.asyncDispose]();

      const reference = `oci:${directory}:${name}/${repository}:latest`;
      const { stdout } = await run(programPath("skopeo"), ["inspect", "--raw", reference]);
      expect(Buffer.from(stdout)).toEqual(straight.body);
      const policy = ["--insecure-policy", "copy", "--quiet"];
      await run(programPath("skopeo"), [...policy, reference, `dir:${copy}`]);
      for (const digest of image.layers) {
        expect(await readFile(join(copy, hexOf(digest)))).toEqual(
          registry.repositories.get(repository)!.blobs.get(digest),
        );
      }

      await registry.close();
      const second = await start();
      const through = await ask(second.endpoint.url, `/v2/${repository}/manifests/latest`);
      expect(through.headers.warning).toContain("cannot be reached");
      const { "content-type": type, etag, "docker-content-digest": digest } = straight.headers;
      expect(through).toMatchObject({ status: 200, body: straight.body });
      expect(through.headers).toMatchObject({ "content-type": type, etag, "docker-content-digest": digest });
      await second.file.close();
      await second.endpoint[Symbol.asyncDispose]();
    },
  );
});
