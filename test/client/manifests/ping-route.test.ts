import { afterEach, beforeEach, expect, test } from "vitest";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { ask } from "./ask.ts";
import {
  impatient,
  type ManifestEndpoint,
  type ManifestEndpointOptions,
  type MoodyUpstream,
  startManifestEndpoint,
  startMoodyUpstream,
} from "./manifest-endpoint.ts";

const repository = "team/app";
const basic = (login: string) => ({ headers: { authorization: `Basic ${Buffer.from(login).toString("base64")}` } });
const [alice, stranger] = [basic("alice:secret"), basic("mallory:guess")];

let owned: AsyncDisposableStack;
let registry: TestRegistry;
let upstream: MoodyUpstream;

beforeEach(async () => {
  owned = new AsyncDisposableStack();
  registry = await startRegistry({ auth: { kind: "basic", users: { alice: "secret" }, anonymous: false } });
  owned.defer(() => registry.close());
  upstream = owned.use(await startMoodyUpstream(registry.url));
  registry.addImage(repository, "latest", [Buffer.from("layer")]);
});

afterEach(() => owned.disposeAsync());

async function start(options: ManifestEndpointOptions = {}): Promise<ManifestEndpoint> {
  return owned.use(await startManifestEndpoint(upstream.url, options));
}

test("/v2/ is answered as straight while the upstream is well", async () => {
  const endpoint = await start();
  for (const options of [{}, alice, { method: "HEAD" }]) {
    const [straight, through] = [await ask(registry.url, "/v2/", options), await ask(endpoint.url, "/v2/", options)];
    const { date: _, connection: __, "keep-alive": ___, ...rest } = straight.headers;
    expect(through).toMatchObject({ status: straight.status, body: straight.body, headers: rest });
  }
});

test("with the upstream failing, an anonymous puller hears the same challenge, a known one is anonymousPing", async () => {
  const endpoint = await start({ offline: "known-pullers" });
  const before = await ask(endpoint.url, "/v2/");
  await ask(endpoint.url, `/v2/${repository}/manifests/latest`, alice);
  upstream.mood = { status: 503 };
  const anonymous = await ask(endpoint.url, "/v2/");
  expect(anonymous.status).toBe(401);
  expect(anonymous.headers["www-authenticate"]).toBe(before.headers["www-authenticate"]);
  expect(anonymous.headers.warning).toBe(
    '299 - "ndn-registry: upstream registry.test answers 503; this is what it answered last"',
  );
  const known = await ask(endpoint.url, "/v2/", alice);
  expect({ status: known.status, body: known.body.toString() }).toEqual({ status: 200, body: "{}" });
  expect(known.headers["docker-distribution-api-version"]).toBe("registry/2.0");
  expect((await ask(endpoint.url, "/v2/", stranger)).status).toBe(401);
  expect((await ask(endpoint.url, "/v2/", { ...alice, method: "HEAD" })).status).toBe(200);
});

test("with the upstream out of reach, no one is sent to a token service when everyone is served anyway", async () => {
  const { url, cache } = await start();
  expect((await ask(url, "/v2/")).status).toBe(401);
  const endpoint = await start({ offline: "anyone", cache, timeouts: impatient });
  upstream.mood = "silent";
  expect((await ask(endpoint.url, "/v2/")).status).toBe(200);
});

test("where no ping is remembered everyone is let in, as far as anything may be served", async () => {
  const endpoint = await start({ offline: "known-pullers" });
  upstream.mood = { status: 429 };
  expect((await ask(endpoint.url, "/v2/")).status).toBe(429);
  upstream.mood = "well";
  await ask(endpoint.url, `/v2/${repository}/manifests/latest`, alice);
  upstream.mood = { status: 429 };
  expect((await ask(endpoint.url, "/v2/")).status).toBe(200);
  endpoint.rights.offline = "nobody";
  const through = await ask(endpoint.url, "/v2/");
  expect(through.status).toBe(429);
  expect(through.headers["retry-after"]).toBe("60");
});

test("with `offline: nobody` an upstream out of reach is reported", async () => {
  const endpoint = owned.use(await startManifestEndpoint(new URL("http://127.0.0.1:1/"), { offline: "nobody" }));
  expect((await ask(endpoint.url, "/v2/")).status).toBe(503);
});

test("a challenge that was remembered before the endpoint had logins is not said to those who have one", async () => {
  const { url, cache } = await start();
  expect((await ask(url, "/v2/")).status).toBe(401);
  const endpoint = await start({ offline: "known-pullers", cache, hidesChallenges: true });
  upstream.mood = { status: 503 };
  const { status, headers, body } = await ask(endpoint.url, "/v2/");
  expect([status, body.toString()]).toEqual([200, "{}"]);
  expect(headers).not.toHaveProperty("www-authenticate");
});

test("where manifests come over NDN, an upstream out of reach keeps no one out but those whose login may be known", async () => {
  const endpoint = await start({ offline: "known-pullers", hasFallback: true });
  const other = await start({ offline: "known-pullers", hasFallback: true, registry: "other.test" });
  const bearer = { status: 401, challenges: ['Bearer realm="https://token.example"'] } as const;
  other.cache.sawPing("other.test", bearer);
  await ask(endpoint.url, "/v2/");
  await upstream[Symbol.asyncDispose]();
  expect((await ask(endpoint.url, "/v2/")).status).toBe(401); // it was Basic
  expect((await ask(other.url, "/v2/")).status).toBe(200);
  expect((await ask((await start({ hasFallback: true, offline: "nobody" })).url, "/v2/")).status).toBe(503);
});
