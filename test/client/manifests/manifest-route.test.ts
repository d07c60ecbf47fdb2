import { expect, test } from "vitest";
import type { CachedManifest } from "#client/manifests/manifest-cache.ts";
import type { Digest } from "#oci/reference.ts";
import { digestOf } from "#test/support/random-bytes.ts";
import { startRegistry } from "#test/support/registry.ts";
import { startUpstream } from "../upstream/raw-upstream.ts";
import { ask } from "./ask.ts";
import { startManifestEndpoint } from "./manifest-endpoint.ts";
import { byDigest, byTag, essence, key, oci, repository, useManifestStage } from "./manifest-stage.ts";

const stage = useManifestStage();

test("a tag is asked upstream each time, but its manifest is fetched once", async () => {
  const endpoint = await stage.start();
  const straight = await ask(stage.registry.url, byTag);
  for (const source of ["upstream", "store", "store"]) {
    const through = await ask(endpoint.url, byTag);
    expect(essence(through)).toEqual(essence(straight));
    expect(through.headers["x-blob-source"]).toBe(source);
  }
  expect(stage.upstream.asked).toEqual([`HEAD ${byTag}`, `GET ${byTag}`, `HEAD ${byTag}`, `HEAD ${byTag}`]);
});

test("a tag that has moved on is fetched anew", async () => {
  const endpoint = await stage.start();
  await ask(endpoint.url, byTag);
  const { manifest } = stage.registry.addImage(repository, "latest", [Buffer.from("another layer")]);
  const through = await ask(endpoint.url, byTag);
  expect(through.headers["docker-content-digest"]).toBe(manifest);
  expect(digestOf(through.body)).toBe(manifest);
});

test("a cached manifest is asked for by HEAD, and not at all where the right to it is fresh", async () => {
  const endpoint = await stage.start();
  const straight = await ask(stage.registry.url, byDigest(stage.image.manifest));
  expect(essence(await ask(endpoint.url, byDigest(stage.image.manifest)))).toEqual(essence(straight));
  expect(essence(await ask(endpoint.url, byDigest(stage.image.manifest)))).toEqual(essence(straight));
  endpoint.rights.fresh = true;
  expect(essence(await ask(endpoint.url, byDigest(stage.image.manifest)))).toEqual(essence(straight));
  expect(stage.upstream.asked).toEqual([
    `GET ${byDigest(stage.image.manifest)}`,
    `HEAD ${byDigest(stage.image.manifest)}`,
  ]);
  await ask(endpoint.url, byDigest(stage.image.manifest), { headers: { authorization: "Bearer other" } });
  expect(stage.upstream.asked.at(-1)).toBe(`HEAD ${byDigest(stage.image.manifest)}`);
});

test.each([
  ["HEAD of a tag", { method: "HEAD" }, byTag],
  ["a tag that is not there", {}, `/v2/${repository}/manifests/none`],
  ["a repository that is not there", {}, "/v2/no/such/manifests/latest"],
  ["another algorithm", {}, `/v2/${repository}/manifests/sha512:${"0".repeat(128)}`],
])("%s is answered as straight", async (_, options, path) => {
  const endpoint = await stage.start();
  expect(essence(await ask(endpoint.url, path, options))).toEqual(
    essence(await ask(stage.registry.url, path, options)),
  );
});

test("a condition is the upstream's to judge, for what is cached too", async () => {
  const endpoint = await stage.start();
  await ask(endpoint.url, byDigest(stage.image.manifest));
  endpoint.rights.fresh = true;
  const headers = { "if-none-match": `"${stage.image.manifest}"` };
  for (const path of [byTag, byDigest(stage.image.manifest)]) {
    expect(essence(await ask(endpoint.url, path, { headers }))).toEqual(
      essence(await ask(stage.registry.url, path, { headers })),
    );
  }
});

test("a private manifest that is cached is refused as the upstream does, and served to who may have it", async () => {
  const users = { alice: "secret" };
  const closed = await startRegistry({ auth: { kind: "basic", users, privateRepositories: [repository] } });
  stage.owned.defer(() => closed.close());
  closed.addImage(repository, "latest", [Buffer.from("layer")]);
  const endpoint = stage.owned.use(await startManifestEndpoint(closed.url, { offline: "known-pullers" }));
  const alice = { headers: { authorization: `Basic ${Buffer.from("alice:secret").toString("base64")}` } };
  expect((await ask(endpoint.url, byTag, alice)).status).toBe(200);
  for (const path of [byTag, byDigest(stage.image.manifest)]) {
    const refused = await ask(endpoint.url, path);
    expect(essence(refused)).toEqual(essence(await ask(closed.url, path)));
    expect(refused.status).toBe(401);
    expect(refused.headers["www-authenticate"]).toBe('Basic realm="test-registry"');
    expect((await ask(endpoint.url, path, alice)).headers["x-blob-source"]).toBe("store");
  }
  await closed.close();
  for (const path of [byTag, byDigest(stage.image.manifest)]) {
    expect((await ask(endpoint.url, path)).status).toBe(503);
    expect((await ask(endpoint.url, path, alice)).status).toBe(200);
  }
});

test("a manifest with another digest than it is said to have passes, but is not remembered", async () => {
  const bytes = Buffer.from("{}");
  const liar = stage.owned.use(
    await startUpstream((request, response) => {
      response.writeHead(200, { "content-type": oci, "docker-content-digest": stage.image.manifest });
      response.end(request.method === "HEAD" ? undefined : bytes);
    }),
  );
  const endpoint = stage.owned.use(await startManifestEndpoint(liar.url));
  for (const path of [byTag, byDigest(stage.image.manifest)])
    expect((await ask(endpoint.url, path)).body).toEqual(bytes);
  expect(endpoint.services.contents.has(stage.image.manifest)).toBe(false);
  expect(endpoint.served).toEqual([]);
  expect(endpoint.logs).toContain("upstream sent a manifest with another digest");
});

test("a page in the registry's place is passed, and grants and changes nothing", async () => {
  const endpoint = await stage.start({ offline: "known-pullers" });
  await ask(endpoint.url, byTag, { headers: { authorization: "Bearer known" } });
  const portal = stage.owned.use(await startUpstream((_, response) => void response.end("<p>please pay</p>")));
  const behind = stage.owned.use(
    await startManifestEndpoint(portal.url, { cache: endpoint.cache, contents: endpoint.services.contents }),
  );
  for (const path of [byTag, byDigest(stage.image.manifest)]) {
    expect((await ask(behind.url, path)).body.toString()).toBe("<p>please pay</p>");
  }
  expect(behind.rights.isKnown(undefined)).toBe(false);
  expect(endpoint.cache.byTag(key, "latest")?.digest).toBe(stage.image.manifest);
});

test("a manifest that breaks off is broken off, and not remembered", async () => {
  const endpoint = await stage.start();
  stage.upstream.mood = "broken";
  await expect(ask(endpoint.url, byTag)).rejects.toThrow();
  stage.upstream.mood = "well";
  expect(endpoint.services.contents.has(stage.image.manifest)).toBe(false);
  expect((await ask(endpoint.url, byTag)).status).toBe(200);
});

test("a manifest of more than 8 MiB passes whole, and is not kept", async () => {
  const endpoint = await stage.start();
  const bytes = Buffer.alloc(9 * 1024 * 1024, " ");
  const digest = stage.registry.addManifest(repository, "large", { mediaType: oci, bytes });
  expect((await ask(endpoint.url, byDigest(digest))).body.equals(bytes)).toBe(true);
  expect(endpoint.services.contents.has(digest)).toBe(false);
});

test("a manifest of 4 MB is kept", async () => {
  const endpoint = await stage.start();
  const bytes = Buffer.alloc(4_000_000, " ");
  const digest = stage.registry.addManifest(repository, "large", { mediaType: oci, bytes });
  for (const source of ["upstream", "store"]) {
    const through = await ask(endpoint.url, byDigest(digest));
    expect(through.body.equals(bytes)).toBe(true);
    expect(through.headers["x-blob-source"]).toBe(source);
  }
});

test("what has been served is reported, with who asked and the bytes", async () => {
  const endpoint = await stage.start();
  await ask(endpoint.url, byTag, { method: "HEAD" });
  const { body } = await ask(endpoint.url, byTag, { headers: { authorization: "Bearer mine" } });
  await ask(endpoint.url, byTag);
  stage.upstream.mood = { status: 503 };
  await ask(endpoint.url, byTag);
  const same = { repository, digest: stage.image.manifest, mediaType: oci, bytes: body };
  expect(endpoint.served).toEqual([
    { ...same, credential: "Bearer mine", by: "upstream" },
    { ...same, credential: undefined, by: "cache" },
    { ...same, credential: undefined, by: "stale" },
  ]);
});

test("a tag that is pushed or deleted through here means what it was before to no one", async () => {
  const endpoint = await stage.start();
  await ask(endpoint.url, byTag);
  const found = (): CachedManifest | undefined => endpoint.cache.byTag(key, "latest");
  expect(found()).toBeDefined();
  endpoint.cache.wroteManifest(key, "latest", digestOf(Buffer.from("new")) as Digest);
  expect(found()).toBeUndefined();
  await ask(endpoint.url, byTag);
  expect(found()).toBeDefined();
  endpoint.cache.forgetTag(key, "latest");
  expect(found()).toBeUndefined();
  await ask(endpoint.url, byTag);
  await endpoint.cache.forgetDigest(key, stage.image.manifest);
  expect(found()).toBeUndefined();
});

test("another registry has another key: the same repository name there has nothing of it", async () => {
  const first = await stage.start();
  await ask(first.url, byTag);
  const { cache, services } = first;
  const second = await stage.start({ registry: "other.test", cache, contents: services.contents });
  stage.upstream.mood = { status: 503 };
  for (const path of [byTag, byDigest(stage.image.manifest)]) {
    expect((await ask(first.url, path)).status).toBe(200);
    expect((await ask(second.url, path)).status).toBe(503);
  }
});

test("a manifest that another repository brought is not fetched again, if the upstream grants it here", async () => {
  const endpoint = await stage.start();
  await ask(endpoint.url, byTag);
  stage.registry.addImage("team/copy", "latest", [Buffer.from("layer")]);
  const through = await ask(endpoint.url, "/v2/team/copy/manifests/latest");
  expect(through.headers["x-blob-source"]).toBe("store");
  stage.upstream.mood = { status: 503 };
  expect((await ask(endpoint.url, "/v2/team/copy/manifests/latest")).status).toBe(200);
  expect((await ask(endpoint.url, `/v2/team/third/manifests/${stage.image.manifest}`)).status).toBe(503);
});
