import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readClientConfig } from "#client/registries/config.ts";
import { registryLogin } from "#client/registries/login.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { blobOf, repository } from "#test/blob/faulty-sources.ts";
import { digestOf } from "#test/support/random-bytes.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { type HoldingEndpoint, useCachedStage } from "./blobs/cached-stage.ts";
import { ask } from "./endpoint.ts";

const stage = useCachedStage();
const blob = blobOf("of both", 50_000);
const [first, second] = ["first.example", "second.example:5001"];
const gatewayLogin = `Basic ${Buffer.from("gateway:secret").toString("base64")}`;
let [one, two, endpoint]: [TestRegistry, TestRegistry, HoldingEndpoint] = [] as never;

beforeEach(async () => {
  [one, two] = await Promise.all([
    startRegistry(),
    startRegistry({ auth: { kind: "basic", users: { gateway: "secret", ann: "pw" }, anonymous: false } }),
  ]);
  one.addBlob(repository, blob.bytes);
  one.addImage("library/alpine", "latest", [Buffer.from("of one")]);
  two.addImage(repository, "latest", [Buffer.from("of two")]);
  endpoint = await startBoth("{username: gateway, passwordEnv: PASSWORD}");
});
afterEach(async () => {
  await endpoint[Symbol.asyncDispose]();
  await Promise.all([one.close(), two.close()]);
});

/** By a configuration file, as an operator does. */
async function startBoth(credentials: string | undefined, forwardAuthorization = false): Promise<HoldingEndpoint> {
  const file = join(stage.directory, "config.yaml");
  await writeFile(
    file,
    `default: ${first}
registries:
  ${first}:
    upstream: ${one.url.href}
  ${second}:
    upstream: ${two.url.href}
    forwardAuthorization: ${forwardAuthorization}
    ${credentials === undefined ? "" : `credentials: ${credentials}`}
`,
  );
  const env = { PASSWORD: "secret" };
  const config = readClientConfig(file, { env });
  const mirrors = new Map(
    [...config.registries].map(([name, config]) => {
      const upstream = config.upstream!;
      const registry = new RegistryClient({
        base: upstream,
        credentials: registryLogin({ ...config, upstream }, env, { warn: () => {} }),
      });
      stage.owned.defer(() => registry.close());
      return [name, { config, registry }];
    }),
  );
  return stage.start(one.url, undefined, { mirrors, defaultRegistry: config.default });
}

/** What reached a registry, with who asked. */
const seenAt = (registry: TestRegistry) =>
  registry.requests.map(({ method, headers }) => `${method} by ${headers.authorization ?? "nobody"}`);

test.each([
  ["the plain form", `/v2/library/alpine/manifests/latest`, first, () => one],
  ["the path form", `/v2/${second}/${repository}/manifests/latest`, second, () => two],
  ["the path form of the default registry", `/v2/${first}/library/alpine/manifests/latest`, first, () => one],
  ["?ns=", `/v2/${repository}/manifests/latest?ns=${second}`, second, () => two],
  ["?ns= of the default registry", `/v2/library/alpine/manifests/latest?ns=${first}`, first, () => one],
])("%s leads to its registry, which the answer names", async (_form, path, name, registry) => {
  const { status, headers, body } = await ask(endpoint.url, path);
  expect([status, headers["oci-namespace"]]).toEqual([200, name]);
  const manifests = [...registry().repositories.values()].flatMap(({ manifests }) => [...manifests.keys()]);
  expect(manifests).toContain(digestOf(body));
});

test.each([
  "/v2/library/alpine/manifests/latest?ns=evil.example",
  "/v2/library/alpine/manifests/latest?ns=127.0.0.1:1",
  "/v2/?ns=evil.example",
])("%s is 404, and nobody is asked", async (path) => {
  const { status, headers, body } = await ask(endpoint.url, path);
  expect([status, headers["oci-namespace"]]).toEqual([404, undefined]);
  expect(JSON.parse(body.toString())).toMatchObject({ errors: [{ code: "NAME_UNKNOWN" }] });
  expect([one.requests, two.requests]).toEqual([[], []]);
});

test("a registry that is not configured is a repository of the default one in path form", async () => {
  const { status } = await ask(endpoint.url, "/v2/evil.example/alpine/manifests/latest");
  expect(status).toBe(404);
  expect([one.requests.map(({ url }) => url), two.requests]).toEqual([
    ["/v2/evil.example/alpine/manifests/latest", "/v2/evil.example/alpine/manifests/latest"],
    [],
  ]);
});

describe("logins", () => {
  const mine = { authorization: `Basic ${Buffer.from("ann:pw").toString("base64")}` };

  test("a puller's Authorization is not for another registry that it names in the path", async () => {
    for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
      await ask(endpoint.url, `/v2/${second}/${repository}/manifests/latest`, { method, headers: mine });
    }
    expect(seenAt(two)).not.toContainEqual(expect.stringContaining(mine.authorization));
    await ask(endpoint.url, `/v2/library/alpine/manifests/latest`, { headers: mine });
    expect(seenAt(one)).toContainEqual(expect.stringContaining(mine.authorization));
  });

  test.each([false, true])(
    "cookies and own headers go where Authorization goes (forwarded: %s)",
    async (isForwarded) => {
      await endpoint[Symbol.asyncDispose]();
      endpoint = await startBoth(undefined, isForwarded);
      const own = { cookie: "session=1", "x-api-key": "s3cret" };
      const headers = { ...own, accept: "*/*", "user-agent": "docker/28" };
      const reads = [`manifests/latest`, `blobs/${blob.ref.digest}`, "tags/list"];
      const all = ["GET", "HEAD"].flatMap((method) => reads.map((what) => ({ method, what })));
      all.push({ method: "PUT", what: "manifests/new" }, { method: "POST", what: "blobs/uploads/" });
      for (const { method, what } of all) {
        await ask(endpoint.url, `/v2/${second}/${repository}/${what}`, { method, headers });
        await ask(endpoint.url, `/v2/${first}/${repository}/${what}`, { method, headers });
      }
      const [atFirst, atSecond] = [one, two].map(({ requests }) => requests.map(({ headers }) => headers));
      for (const { cookie, ...others } of atFirst!) expect([cookie, others["x-api-key"]]).toEqual(Object.values(own));
      const expected = isForwarded ? Object.values(own) : [undefined, undefined];
      for (const { cookie, ...others } of atSecond!) expect([cookie, others["x-api-key"]]).toEqual(expected);
      expect(new Set(atSecond!.map((sent) => sent["user-agent"]))).toEqual(new Set(["docker/28"]));
    },
  );

  test("it goes to the registry that ?ns= names: containerd sends what is meant for it", async () => {
    const { status } = await ask(endpoint.url, `/v2/${repository}/manifests/latest?ns=${second}`, { headers: mine });
    expect(status).toBe(200);
    expect(new Set(seenAt(two))).toEqual(new Set([`GET by ${mine.authorization}`, `HEAD by ${mine.authorization}`]));
  });

  test("the gateway's own are used for reading, and never for writing", async () => {
    const path = `/v2/${second}/${repository}`;
    for (const [method, what] of [
      ["GET", "manifests/latest"],
      ["HEAD", "manifests/latest"],
      ["GET", "tags/list"],
    ] as const) {
      expect((await ask(endpoint.url, `${path}/${what}`, { method })).status).toBe(200);
    }
    expect(seenAt(two)).toContain(`GET by ${gatewayLogin}`);
    const reads = two.requests.length;
    for (const [method, what] of [
      ["POST", "blobs/uploads/"],
      ["PUT", "manifests/stolen"],
      ["PATCH", "blobs/uploads/x"],
      ["DELETE", "manifests/latest"],
      ["DELETE", `blobs/${blob.ref.digest}`],
    ] as const) {
      const body = method === "DELETE" ? {} : { body: Buffer.from("{}") };
      const { status } = await ask(endpoint.url, `${path}/${what}`, { method, ...body });
      expect([method, what, status]).toEqual([method, what, 401]);
    }
    expect(new Set(seenAt(two).slice(reads))).toEqual(
      new Set(["POST", "PUT", "PATCH", "DELETE"].map((method) => `${method} by nobody`)),
    );
  });

  test("those of one registry are not sent to the other", async () => {
    for (const path of ["library/alpine/manifests/latest", `${repository}/blobs/${blob.ref.digest}`]) {
      await ask(endpoint.url, `/v2/${path}`);
      await ask(endpoint.url, `/v2/${first}/${path}`);
    }
    expect(new Set(seenAt(one))).toEqual(new Set(["GET by nobody", "HEAD by nobody"]));
  });
});

test.each([
  ["path form", `/v2/${first}/team/pushed/blobs/uploads/`],
  ["?ns=", `/v2/team/pushed/blobs/uploads/?ns=${first}`],
])("an upload goes round by its Location in %s", async (_form, path) => {
  const begun = await ask(endpoint.url, path, { method: "POST" });
  expect(begun.status).toBe(202);
  const location = new URL(begun.headers.location!, endpoint.url);
  expect(location.host).toBe(endpoint.url.host);
  location.searchParams.set("digest", blob.ref.digest);
  const target = location.pathname + location.search;
  const done = await ask(endpoint.url, target, { method: "PUT", body: blob.bytes });
  expect(done.status).toBe(201);
  const written = new URL(done.headers.location!, endpoint.url);
  const { body } = await ask(endpoint.url, written.pathname + written.search);
  expect(body.equals(blob.bytes)).toBe(true);
  expect(one.repositories.get("team/pushed")?.blobs.has(blob.ref.digest)).toBe(true);
});

describe("a blob that both registries have", () => {
  const inSecond = `/v2/${second}/${repository}/blobs/${blob.ref.digest}`;
  const inFirst = `/v2/${repository}/blobs/${blob.ref.digest}`;

  test("is fetched once, and each registry is asked for its own right", async () => {
    two.addBlob(repository, blob.bytes);
    expect((await ask(endpoint.url, inFirst)).headers["x-blob-source"]).toBe("upstream");
    await until("the blob to be cached", () => endpoint.store.has(blob.ref.digest)); // running fetches are of one registry
    const { headers, body } = await ask(endpoint.url, inSecond);
    expect([headers["x-blob-source"], headers["oci-namespace"]]).toEqual(["store", second]);
    expect(body.equals(blob.bytes)).toBe(true);
    expect(two.blobGets(blob.ref.digest)).toEqual([]);
    expect(two.requests.some(({ method, status }) => method === "HEAD" && status === 200)).toBe(true);
  });

  test("is not served by the right at the other one", async () => {
    await endpoint[Symbol.asyncDispose]();
    endpoint = await startBoth(undefined);
    two.addBlob(repository, blob.bytes);
    expect((await ask(endpoint.url, inFirst)).status).toBe(200);
    for (const headers of [{}, { range: "bytes=0-9" }]) {
      const [through, straight] = [
        await ask(endpoint.url, inSecond, { headers }),
        await ask(two.url, inFirst, { headers }),
      ];
      expect([through.status, through.body.toString()]).toEqual([401, straight.body.toString()]);
      expect(through.headers["www-authenticate"]).toBe(straight.headers["www-authenticate"]);
    }
  });

  test("is not served in the name of a registry that does not have it", async () => {
    await ask(endpoint.url, inFirst);
    expect((await ask(endpoint.url, inSecond)).status).toBe(404);
  });

  test("is not served offline by the right at the other one", async () => {
    await ask(endpoint.url, inFirst);
    await two.close();
    expect((await ask(endpoint.url, inSecond)).status).toBe(503);
    await one.close();
    expect((await ask(endpoint.url, inFirst)).status).toBe(200);
  });
});
