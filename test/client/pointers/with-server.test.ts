import pino from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BlobStore } from "#store/blob-store.ts";
import { makeIdentity } from "#test/publish/identity.ts";
import { prefix, type Serving, serve } from "#test/publish/serving.ts";
import { type ImageDigests, patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { ask, type Endpoint } from "../endpoint.ts";
import { type MoodyUpstream, startMoodyUpstream } from "../manifests/manifest-endpoint.ts";
import { startClient } from "./stage.ts";

const repository = "team/app";
const oci = "application/vnd.oci.image.manifest.v1+json";
const layers = [patternBlob(300_000, 1), patternBlob(5_000, 2)];

let [registry, serving, image, identity]: [
  TestRegistry,
  Serving,
  ImageDigests,
  Awaited<ReturnType<typeof makeIdentity>>,
] = [] as never;
let owned: AsyncDisposableStack;
beforeAll(async () => {
  registry = await startRegistry();
  image = registry.addImage(repository, "latest", layers);
  identity = await makeIdentity(prefix);
  serving = await serve(registry, { identity });
});
afterAll(async () => {
  await serving[Symbol.asyncDispose]();
  await registry.close();
});
beforeEach(() => {
  owned = new AsyncDisposableStack();
});
afterEach(() => owned.disposeAsync());

async function open(options: Parameters<typeof startClient>[1]): Promise<Endpoint> {
  return owned.use(await startClient({ producer: serving.server.producer, identity }, options));
}

function asDisposable(value: BlobStore) {
  return { value, [Symbol.asyncDispose]: () => value.close() };
}

async function openMoody(options: Parameters<typeof startClient>[1] = {}) {
  const upstream = owned.use(await startMoodyUpstream(registry.url));
  return { upstream, endpoint: await open({ upstream: upstream.url, tagTimeoutMs: 300, ...options }) };
}

/** Pull as a puller does, with something that happens when the manifest is there; the bytes of the layers. */
async function pull({ url }: Pick<Endpoint, "url">, between = async () => {}): Promise<Buffer[]> {
  expect((await ask(url, "/v2/")).status).toBe(200);
  const tagged = await ask(url, `/v2/${repository}/manifests/latest`, { headers: { accept: oci } });
  expect([tagged.status, tagged.headers["docker-content-digest"]]).toEqual([200, image.manifest]);
  await between();
  const manifest = JSON.parse(tagged.body.toString()) as { config: { digest: string }; layers: { digest: string }[] };
  const blobs: Buffer[] = [];
  for (const { digest } of [manifest.config, ...manifest.layers]) {
    const answer = await ask(url, `/v2/${repository}/blobs/${digest}`);
    expect(answer.status).toBe(200);
    blobs.push(answer.body);
  }
  return blobs.slice(1);
}

test("an image is pulled over NDN alone, by tag and by digest", async () => {
  const endpoint = await open({});
  expect(await pull(endpoint)).toEqual(layers);
  const byDigest = await ask(endpoint.url, `/v2/${repository}/manifests/${image.manifest}`, {
    headers: { accept: oci },
  });
  expect([byDigest.status, byDigest.headers["content-type"]]).toEqual([200, oci]);
  const { tags } = JSON.parse((await ask(endpoint.url, `/v2/${repository}/tags/list`)).body.toString()) as {
    tags: string[];
  };
  expect(tags).toContain("latest");
});

test("an image is added to the cache over NDN alone, and pulled from it", async () => {
  await using folder = await makeTemporaryFolder();
  await using store = asDisposable(
    await BlobStore.open({ directory: folder.path, maxBytes: 1e8, log: pino({ level: "silent" }) }),
  );
  await using endpoint = await startClient({ producer: serving.server.producer, identity }, { store: store.value });
  const url = new URL(`/-/cache/add?image=${repository}:latest&platform=all`, endpoint.url);
  const added = await fetch(url, { method: "POST", headers: { "x-ndn-registry": "1" } });
  expect((await added.text()).trimEnd().split("\n").at(-1)).toContain(image.manifest);
  expect(await pull(endpoint)).toEqual(layers);
  expect(await endpoint.metrics.metrics()).toMatch(/blob_requests_total\{result="store"\} 3/);
});

test("a signature in a tag is found by the referrers API and by its tag", async () => {
  const hex = image.manifest.slice("sha256:".length);
  const signature = registry.addImage(repository, `sha256-${hex}.sig`, [Buffer.from("signature")]);
  const descriptor = { mediaType: oci, digest: signature.manifest, size: 1, artifactType: "application/example.sig" };
  const index = { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [descriptor] };
  registry.addManifest(repository, `sha256-${hex}`, {
    mediaType: index.mediaType,
    bytes: Buffer.from(JSON.stringify(index)),
  });
  const { url } = await open({});
  const tagged = await ask(url, `/v2/${repository}/manifests/sha256-${hex}.sig`);
  expect(tagged.headers["docker-content-digest"]).toBe(signature.manifest);
  const referrers = await ask(
    url,
    `/v2/${repository}/referrers/${image.manifest}?artifactType=application/example.sig`,
  );
  expect(JSON.parse(referrers.body.toString())).toMatchObject({ manifests: [descriptor] });
});

describe("a repository that is not published", () => {
  let hidden: { registry: TestRegistry; serving: Serving };
  beforeAll(async () => {
    const registry = await startRegistry({
      auth: { kind: "basic", users: { one: "secret" }, privateRepositories: ["team/secret"] },
    });
    registry.addImage("team/secret", "hidden-tag", [Buffer.from("x")]);
    hidden = { registry, serving: await serve(registry, { identity }) };
  });
  afterAll(async () => {
    await hidden.serving[Symbol.asyncDispose]();
    await hidden.registry.close();
  });

  test("leaks no name, whatever is asked for", async () => {
    const { producer } = hidden.serving.server;
    const { url } = owned.use(await startClient({ producer, identity }, {}));
    const digest = `sha256:${"1".repeat(64)}`;
    const paths = ["manifests/hidden-tag", `manifests/${digest}`, "tags/list", `referrers/${digest}`].map(
      (path) => `/v2/team/secret/${path}`,
    );
    const answers = await Promise.all([...paths, "/v2/_catalog"].map((path) => ask(url, path)));
    for (const { status, body } of answers) {
      expect([200, 404, 503]).toContain(status);
      expect(body.toString()).not.toMatch(/hidden-tag"/);
      if (status === 200) expect(JSON.parse(body.toString())).toMatchObject({ manifests: [] });
    }
  }, 60_000);
});

describe("HTTPS goes away in the middle of a pull", () => {
  test.each<[string, (upstream: MoodyUpstream) => unknown]>([
    ["and cannot be reached", (upstream) => upstream[Symbol.asyncDispose]()],
    ["and is silent", (upstream) => Object.assign(upstream, { mood: "silent" })],
    ["and answers 503", (upstream) => Object.assign(upstream, { mood: { status: 503 } })],
  ])(
    "%s: the pull ends right over NDN",
    async (_how, goAway) => {
      const { upstream, endpoint } = await openMoody();
      expect(
        await pull(endpoint, async () => {
          await goAway(upstream);
        }),
      ).toEqual(layers);
    },
    60_000,
  );
});

describe("while the upstream cannot be reached", () => {
  const gone = async (options?: Parameters<typeof startClient>[1]) => {
    const { upstream, endpoint } = await openMoody(options);
    await upstream[Symbol.asyncDispose]();
    return endpoint;
  };

  test("a client that knows nothing yet pulls over NDN, and says so", async () => {
    const endpoint = await gone();
    expect(await pull(endpoint)).toEqual(layers);
    const answer = await ask(endpoint.url, `/v2/${repository}/manifests/latest`);
    expect(answer.headers["x-manifest-source"]).toBe("ndn");
    expect(await endpoint.metrics.metrics()).toMatch(/ndn_registry_manifests_total\{source="ndn"\} [1-9]/);
  });

  test("lists come over NDN", async () => {
    const { url } = await gone();
    const answer = await ask(url, `/v2/${repository}/tags/list?n=1`);
    expect([answer.status, answer.headers["x-manifest-source"]]).toEqual([200, "ndn"]);
    expect(answer.headers.link).toContain(`</v2/${repository}/tags/list?last=`);
    expect((await ask(url, `/v2/${repository}/tags/list`, { method: "HEAD" })).status).toBe(200);
    expect((await ask(url, `/v2/${repository}/tags/list?n=x`)).status).toBe(503);
    expect((await ask(url, "/v2/_catalog")).status).toBe(503);
  }, 60_000);

  test("a tag that was seen before is asked for over NDN, not served as it was", async () => {
    const { upstream, endpoint } = await openMoody();
    const path = "/v2/team/moved/manifests/latest";
    registry.addImage("team/moved", "latest", [Buffer.from("one")]);
    await ask(endpoint.url, path);
    await upstream[Symbol.asyncDispose]();
    const moved = registry.addImage("team/moved", "latest", [Buffer.from("two")]);
    const answer = await ask(endpoint.url, path);
    expect([answer.headers["docker-content-digest"], answer.headers.warning]).toEqual([moved.manifest, undefined]);
  });

  test.each([
    ["--offline nobody", { offline: "nobody" }],
    ["--manifests https", { manifests: "https" }],
  ] as const)("%s serves nothing that was not granted", async (_option, options) => {
    const { url } = await gone(options);
    expect((await ask(url, `/v2/${repository}/manifests/latest`)).status).toBe(503);
    expect((await ask(url, `/v2/${repository}/blobs/${image.layers[0]}`)).status).toBe(503);
  });
});

test("while the upstream answers, lists are its own", async () => {
  const { upstream, endpoint } = await openMoody();
  const answer = await ask(endpoint.url, `/v2/${repository}/tags/list`);
  expect([answer.status, answer.headers["x-manifest-source"]]).toEqual([200, undefined]);
  expect((await ask(endpoint.url, "/v2/no/such/tags/list")).status).toBe(404);
  expect(upstream.asked).toHaveLength(2);
});

test("a registry that refuses a puller is not asked again over NDN", async () => {
  const { upstream, endpoint } = await openMoody();
  upstream.mood = { status: 401 };
  expect((await ask(endpoint.url, `/v2/${repository}/manifests/latest`)).status).toBe(401);
  expect((await ask(endpoint.url, `/v2/${repository}/blobs/${image.layers[0]}`)).status).toBe(401);
});

test("with --manifests ndn tags are asked for over NDN, and what is not there at the upstream", async () => {
  const { upstream, endpoint } = await openMoody({ manifests: "ndn", authorize: "none" });
  const answer = await ask(endpoint.url, `/v2/${repository}/manifests/latest`);
  expect([answer.headers["x-manifest-source"], answer.headers["docker-content-digest"]]).toEqual([
    "ndn",
    image.manifest,
  ]);
  expect(upstream.asked).toEqual([]);
  expect((await ask(endpoint.url, `/v2/${repository}/manifests/none`)).status).toBe(404);
  expect(upstream.asked.length).toBeGreaterThan(0);
});
