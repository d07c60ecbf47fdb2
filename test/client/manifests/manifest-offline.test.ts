import { expect, test } from "vitest";
import { startUpstream } from "../upstream/raw-upstream.ts";
import { ask } from "./ask.ts";
import { impatient, startManifestEndpoint } from "./manifest-endpoint.ts";
import { byDigest, byTag, docker, essence, oci, repository, useManifestStage } from "./manifest-stage.ts";

const stage = useManifestStage();

test.each([429, 500, 502, 503, 504])("an upstream that answers %i is stood in for, with a warning", async (status) => {
  const endpoint = await stage.start();
  const straight = await ask(endpoint.url, byTag);
  stage.upstream.mood = { status };
  for (const path of [byTag, byDigest(stage.image.manifest)]) {
    const through = await ask(endpoint.url, path);
    expect(essence(through)).toEqual(essence(straight));
    expect(through.headers.warning).toMatch(
      new RegExp(
        `^299 - "ndn-registry: upstream registry.test answers ${status}; this is the manifest last seen \\w+, [^"]+ GMT"$`,
      ),
    );
    expect(through.headers["cache-status"]).toBe("ndn-registry; hit; detail=stale");
    expect(through.headers["docker-distribution-api-version"]).toBe("registry/2.0");
  }
  const head = await ask(endpoint.url, byTag, { method: "HEAD" });
  expect(essence(head)).toEqual({ ...essence(straight), body: "" });
  expect(head.headers.warning).toBeDefined();
});

test("an upstream that is out of reach is stood in for", async () => {
  const endpoint = stage.owned.use(await startManifestEndpoint(stage.registry.url));
  const straight = await ask(endpoint.url, byTag);
  await stage.registry.close();
  for (const path of [byTag, byDigest(stage.image.manifest)]) {
    const through = await ask(endpoint.url, path);
    expect(essence(through)).toEqual(essence(straight));
    expect(through.headers.warning).toContain("upstream registry.test cannot be reached; this is the manifest");
  }
  expect((await ask(endpoint.url, byTag, { method: "HEAD" })).status).toBe(200);
});

test("an upstream that is silent is stood in for, again and again", async () => {
  const endpoint = await stage.start({ timeouts: impatient });
  await ask(endpoint.url, byTag);
  stage.upstream.mood = "silent";
  for (let i = 0; i < 3; i++) {
    const { warning } = (await ask(endpoint.url, byTag)).headers;
    expect(warning).toContain("upstream registry.test has not answered within 0.1 s; this is the manifest");
  }
});

test("a pull that is over the limit continues where a HEAD is enough", async () => {
  const endpoint = await stage.start();
  await ask(endpoint.url, byTag);
  stage.registry.rateLimit = { limit: 100, remaining: 0 };
  const through = await ask(endpoint.url, byTag);
  expect(through.status).toBe(200);
  expect(through.headers.warning).toBeUndefined();
});

test("where nothing is remembered, the upstream's own failure is the answer", async () => {
  const endpoint = await stage.start();
  stage.upstream.mood = { status: 429 };
  for (const path of [byTag, byDigest(stage.image.manifest)]) {
    const through = await ask(endpoint.url, path);
    expect(essence(through)).toEqual(essence(await ask(stage.upstream.url, path)));
    expect(through.headers["retry-after"]).toBe("60");
  }
  expect((await ask(endpoint.url, byTag, { method: "HEAD" })).headers["retry-after"]).toBe("60");
});

test("where nothing is remembered and the upstream is out of reach, it says so", async () => {
  const endpoint = stage.owned.use(await startManifestEndpoint(new URL("http://127.0.0.1:1/")));
  for (const method of ["GET", "HEAD"]) expect((await ask(endpoint.url, byTag, { method })).status).toBe(503);
  expect((await ask(endpoint.url, byDigest(stage.image.manifest))).body.toString()).toContain("UNAVAILABLE");
});

test("a registry that is only slow to answer a HEAD still gets the GET", async () => {
  const slow = stage.owned.use(
    await startUpstream((request, response) => {
      if (request.method === "GET") response.end("the manifest");
    }),
  );
  const endpoint = stage.owned.use(await startManifestEndpoint(slow.url, { timeouts: impatient }));
  expect((await ask(endpoint.url, byTag)).body.toString()).toBe("the manifest");
});

test.each(["nobody", "known-pullers"] as const)(
  "with `offline: %s` a stranger hears what the upstream says",
  async (offline) => {
    const endpoint = await stage.start({ offline });
    await ask(endpoint.url, byTag, { headers: { authorization: "Bearer known" } });
    stage.upstream.mood = { status: 503 };
    for (const path of [byTag, byDigest(stage.image.manifest)])
      expect((await ask(endpoint.url, path)).status).toBe(503);
    const known = await ask(endpoint.url, byTag, { headers: { authorization: "Bearer known" } });
    expect(known.status).toBe(offline === "nobody" ? 503 : 200);
  },
);

test("a stale candidate for a tag has a media type that the puller accepts", async () => {
  const endpoint = await stage.start();
  await ask(endpoint.url, byTag);
  const other = Buffer.from('{"schemaVersion":2}');
  stage.registry.addManifest(repository, "latest", { mediaType: docker, bytes: other });
  await ask(endpoint.url, byTag);
  stage.upstream.mood = { status: 503 };
  const answers = await Promise.all(
    [oci, docker, `${docker};q=0, */*`, "text/html", undefined].map((accept) =>
      ask(endpoint.url, byTag, accept === undefined ? {} : { headers: { accept } }),
    ),
  );
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 503, 200]);
  expect(answers.map(({ headers }) => headers["content-type"])).toEqual([oci, docker, oci, "application/json", docker]);
  const digest = await ask(endpoint.url, byDigest(stage.image.manifest), { headers: { accept: "text/html" } });
  expect(digest.status).toBe(200);
});

test("a tag that the upstream no longer knows is forgotten", async () => {
  const endpoint = await stage.start();
  await ask(endpoint.url, byTag);
  stage.registry.repositories.get(repository)!.tags.delete("latest");
  expect((await ask(endpoint.url, byTag)).status).toBe(404);
  stage.upstream.mood = { status: 503 };
  expect((await ask(endpoint.url, byTag)).status).toBe(503);
  expect((await ask(endpoint.url, byDigest(stage.image.manifest))).status).toBe(200);
});

test("a manifest that the upstream no longer knows is forgotten, with its tags", async () => {
  const endpoint = await stage.start();
  await ask(endpoint.url, byTag);
  stage.registry.repositories.get(repository)!.manifests.delete(stage.image.manifest);
  expect((await ask(endpoint.url, byDigest(stage.image.manifest))).status).toBe(404);
  expect(endpoint.services.contents.has(stage.image.manifest)).toBe(false);
  stage.upstream.mood = { status: 503 };
  for (const path of [byTag, byDigest(stage.image.manifest)]) expect((await ask(endpoint.url, path)).status).toBe(503);
});

test("a stranger's 404 makes no one forget", async () => {
  const endpoint = await stage.start({ offline: "known-pullers" });
  const known = { headers: { authorization: "Bearer known" } };
  await ask(endpoint.url, byTag, known);
  stage.upstream.mood = { status: 404 };
  for (const path of [byTag, byDigest(stage.image.manifest)]) expect((await ask(endpoint.url, path)).status).toBe(404);
  stage.upstream.mood = { status: 503 };
  expect((await ask(endpoint.url, byTag, known)).status).toBe(200);
});

test("a puller whose right the upstream has withdrawn has none offline", async () => {
  const endpoint = await stage.start({ offline: "known-pullers" });
  await ask(endpoint.url, byTag);
  stage.upstream.mood = { status: 403 };
  expect((await ask(endpoint.url, byTag)).status).toBe(403);
  stage.upstream.mood = { status: 503 };
  expect((await ask(endpoint.url, byTag)).status).toBe(503);
});

test("a HEAD counts as seen: with the manifest fetched by digest, the tag can be pulled offline", async () => {
  const endpoint = await stage.start();
  await ask(endpoint.url, byTag, { method: "HEAD" });
  await ask(endpoint.url, byDigest(stage.image.manifest));
  await stage.registry.close();
  stage.upstream.mood = { status: 502 };
  expect((await ask(endpoint.url, byTag)).headers["docker-content-digest"]).toBe(stage.image.manifest);
});
