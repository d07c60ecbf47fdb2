import { beforeEach, describe, expect, test } from "vitest";
import { repository } from "#test/blob/faulty-sources.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { type AuthOptions, type ImageDigests, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { type HoldingEndpoint, rightsAreOldMs, useCachedStage } from "./blobs/cached-stage.ts";
import { type Answer, ask } from "./endpoint.ts";
import { type MoodyUpstream, startMoodyUpstream } from "./manifests/manifest-endpoint.ts";

const stage = useCachedStage();
const oci = "application/vnd.oci.image";
let [registry, upstream, image, index]: [TestRegistry, MoodyUpstream, ImageDigests, string] = [] as never;

async function startUpstream(auth?: AuthOptions): Promise<void> {
  registry = await startRegistry(auth ? { auth } : {});
  stage.owned.defer(() => registry.close());
  upstream = stage.owned.use(await startMoodyUpstream(registry.url));
  const layers = ["one", "two"].map((seed) => randomBytesOf(`offline ${seed}`, 300_000));
  image = registry.addImage(repository, "single", layers);
  const { mediaType, bytes } = registry.repositories.get(repository)!.manifests.get(image.manifest)!;
  const manifests = [{ mediaType, digest: image.manifest, size: bytes.length }];
  const list = { schemaVersion: 2, mediaType: `${oci}.index.v1+json`, manifests };
  index = registry.addManifest(repository, "latest", {
    mediaType: list.mediaType,
    bytes: Buffer.from(JSON.stringify(list)),
  });
}

/** What a puller asks for, in its order. */
const pathsOf = () => [
  ...[`manifests/latest`, `manifests/${index}`, `manifests/${image.manifest}`, `blobs/${image.config}`],
  ...image.layers.map((layer) => `blobs/${layer}`),
];

/** Everything of the image by its tag, as a puller asks for it. */
async function pull({ url }: Pick<HoldingEndpoint, "url">, authorization?: string): Promise<Answer[]> {
  const headers = authorization === undefined ? {} : { authorization };
  const answers: Answer[] = [];
  for (const path of pathsOf()) answers.push(await ask(url, `/v2/${repository}/${path}`, { headers }));
  return answers;
}

function expectSame(answers: readonly Answer[], expected: readonly Answer[]): void {
  for (const [nth, { status, headers, body }] of answers.entries()) {
    const as = expected[nth]!;
    expect([pathsOf()[nth], status, body.equals(as.body)]).toEqual([pathsOf()[nth], 200, true]);
    expect(headers["content-type"]).toBe(as.headers["content-type"]);
    expect(headers["docker-content-digest"]).toBe(as.headers["docker-content-digest"]);
  }
}

const failures = ["stopped", 429, 503] as const;
type Failure = (typeof failures)[number];

/** What was granted a moment ago is granted no more by that. */
async function fail(failure: Failure): Promise<void> {
  stage.later(rightsAreOldMs);
  if (failure === "stopped") await upstream[Symbol.asyncDispose]();
  else upstream.mood = { status: failure };
}

const warning = (failure: Failure) =>
  expect.stringMatching(
    new RegExp(`^299 - "ndn-registry: .*${failure === "stopped" ? "cannot be reached" : `answers ${failure}`}`),
  );

describe.each(failures)("with the upstream %s", (failure) => {
  beforeEach(() => startUpstream());

  test("another machine can pull by tag what one has pulled before, with a warning", async () => {
    await using endpoint = await stage.start(upstream.url);
    const before = await pull(endpoint);
    const asked = upstream.asked.length;
    await fail(failure);
    const after = await pull(endpoint);
    expectSame(after, before);
    expect(after.map(({ headers }) => headers.warning)).toEqual([
      ...Array.from({ length: 3 }, () => warning(failure)),
      ...Array.from({ length: 3 }, () => undefined),
    ]);
    expect(after.map(({ headers }) => headers["x-blob-source"])).toEqual(Array.from({ length: 6 }, () => "store"));
    const ping = await ask(endpoint.url, "/v2/");
    expect([ping.status, ping.headers.warning]).toEqual([200, warning(failure)]);
    // Not one GET went through: neither does it cost a pull that the upstream would count.
    expect(upstream.asked.slice(asked).filter((line) => line.startsWith("GET") && !line.endsWith("/v2/"))).toEqual([]);
  });

  test("HEAD and ranges work as well", async () => {
    await using endpoint = await stage.start(upstream.url);
    const before = await pull(endpoint);
    await fail(failure);
    for (const path of pathsOf().filter((one) => failure === "stopped" || one.startsWith("manifests"))) {
      const head = await ask(endpoint.url, `/v2/${repository}/${path}`, { method: "HEAD" });
      const length = before[pathsOf().indexOf(path)]!.body.length;
      expect([path, head.status, head.headers["content-length"]]).toEqual([path, 200, String(length)]);
    }
    const layer = `/v2/${repository}/blobs/${image.layers[0]}`;
    const part = await ask(endpoint.url, layer, { headers: { range: "bytes=-100" } });
    expect([part.status, part.body.equals(before[4]!.body.subarray(-100))]).toEqual([206, true]);
  });

  test("the image can be pulled after a restart on the same directory", async () => {
    const first = await stage.start(upstream.url);
    const before = await pull(first);
    await first[Symbol.asyncDispose]();
    await fail(failure);
    await using second = await stage.start(upstream.url);
    expectSame(await pull(second), before);
    expect((await ask(second.url, "/v2/")).status).toBe(200);
  });

  test("by the policy `nobody` the upstream's failure is the answer", async () => {
    await using endpoint = await stage.start(upstream.url, undefined, { offline: "nobody" });
    await pull(endpoint);
    await fail(failure);
    const status = failure === "stopped" ? 503 : failure;
    const answers = await pull(endpoint);
    expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 6 }, () => status));
    if (failure === "stopped") return;
    const straight = await pull({ url: upstream.url });
    expect(answers.map(({ body }) => body.toString())).toEqual(straight.map(({ body }) => body.toString()));
    expect(answers.map(({ headers }) => headers["retry-after"])).toEqual(Array.from({ length: 6 }, () => "60"));
  });
});

describe.each(failures)("a private image with the upstream %s", (failure) => {
  const known = `Basic ${Buffer.from("reader:secret").toString("base64")}`;
  const strangers = [undefined, `Basic ${Buffer.from("reader:wrong").toString("base64")}`];

  beforeEach(() => startUpstream({ kind: "basic", users: { reader: "secret" }, anonymous: false }));

  test("is served to those who could pull it before, and to nobody else", async () => {
    const first = await stage.start(upstream.url);
    const before = await pull(first, known);
    for (const stranger of strangers) {
      for (const { status } of await pull(first, stranger)) expect(status).toBe(401);
    }
    await fail(failure);
    const expectRights = async (endpoint: HoldingEndpoint) => {
      expectSame(await pull(endpoint, known), before);
      for (const stranger of strangers) {
        const statuses = (await pull(endpoint, stranger)).map(({ status }) => status);
        expect(statuses).toEqual(Array.from({ length: 6 }, () => (failure === "stopped" ? 503 : failure)));
      }
    };
    await expectRights(first);
    await first[Symbol.asyncDispose]();
    await using second = await stage.start(upstream.url);
    await expectRights(second);
  });

  test("is served to a stranger by the policy `anyone`", async () => {
    await using endpoint = await stage.start(upstream.url, undefined, { offline: "anyone" });
    const before = await pull(endpoint, known);
    await fail(failure);
    for (const stranger of strangers) expectSame(await pull(endpoint, stranger), before);
  });

  test("is not remembered as anybody's by `anyone` when nobody could pull it", async () => {
    await using endpoint = await stage.start(upstream.url, undefined, { offline: "anyone" });
    await pull(endpoint);
    await fail(failure);
    for (const { status } of await pull(endpoint)) expect(status).toBe(failure === "stopped" ? 503 : failure);
  });
});

test("what was pulled only in part is served as far as it goes", async () => {
  await startUpstream();
  await using endpoint = await stage.start(upstream.url);
  const path = (layer: number) => `/v2/${repository}/blobs/${image.layers[layer]}`;
  await ask(endpoint.url, path(0));
  await fail("stopped");
  expect((await ask(endpoint.url, path(0))).status).toBe(200);
  expect((await ask(endpoint.url, path(1))).status).toBe(503);
});

test("an upstream that is back is asked again at once", async () => {
  await startUpstream();
  await using endpoint = await stage.start(upstream.url);
  await pull(endpoint);
  await fail(503);
  await pull(endpoint);
  upstream.mood = "well";
  registry.addImage(repository, "latest", [Buffer.from("another layer")]);
  const { headers, body } = await ask(endpoint.url, `/v2/${repository}/manifests/latest`);
  expect(headers.warning).toBeUndefined();
  expect(body.equals(registry.repositories.get(repository)!.manifests.get(index)!.bytes)).toBe(false);
});
