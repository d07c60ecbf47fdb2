import { MockAgent } from "undici";
import { afterEach, expect, test, vi } from "vitest";
import { type Need, TokenAuth } from "#oci/auth.ts";
import { RegistryUnreachable } from "#oci/errors.ts";

const credentials = { username: "ann", password: "pw" };
const needOf = (scope: string, login: boolean): Need => ({
  key: scope,
  scope,
  credentials: login ? credentials : undefined,
});
const scope = "repository:team/app:pull";
const asked = "https://registry.example/v2/team/app/manifests/1";
const signal = AbortSignal.timeout(60_000);
const agents: MockAgent[] = [];

afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(agents.splice(0).map((agent) => agent.close()));
});

/** A token service that gives `t1`, `t2`, …; `seen` has the Authorization and path of each request. */
function stage(registry: string, realm: string, answer: { status?: number; body?: object | string } = {}) {
  const dispatcher = new MockAgent();
  agents.push(dispatcher);
  dispatcher.disableNetConnect();
  const seen: { authorization: string | undefined; path: string }[] = [];
  const { origin } = new URL(realm);
  const service = dispatcher.get(origin).intercept({ path: () => true });
  service
    .reply((request) => {
      const headers = request.headers as Record<string, string>;
      seen.push({ authorization: headers.authorization, path: request.path });
      const data = answer.body ?? { token: `t${seen.length}`, expires_in: 100 };
      return { statusCode: answer.status ?? 200, data: typeof data === "string" ? data : JSON.stringify(data) };
    })
    .persist();
  const auth = new TokenAuth({ registry: new URL(registry), dispatcher });
  const authorize = (login: boolean, wanted = scope) =>
    auth.authorize({ scheme: "bearer", parameters: { realm, service: "s v" } }, needOf(wanted, login), asked, signal);
  return { auth, authorize, seen };
}

function useFakeClock(): void {
  vi.useFakeTimers({ toFake: ["performance"] });
  vi.advanceTimersByTime(1); // lru-cache takes a start at 0 for none
}

const hub = "https://registry.example/";
const hubRealm = "https://auth.example/token";

test("the service is asked for the scope, with the login only when it may be used", async () => {
  const { authorize, seen } = stage(hub, hubRealm);
  expect(await authorize(false)).toBe("Bearer t1");
  expect(await authorize(true)).toBe("Bearer t2");
  expect(seen).toEqual([
    { path: "/token?service=s+v&scope=repository%3Ateam%2Fapp%3Apull", authorization: undefined },
    { path: "/token?service=s+v&scope=repository%3Ateam%2Fapp%3Apull", authorization: "Basic YW5uOnB3" },
  ]);
});

test("a token serves its scope until 30 s before it expires", async () => {
  useFakeClock();
  const { auth, authorize } = stage(hub, hubRealm);
  await authorize(false);
  vi.advanceTimersByTime(69_000);
  expect(auth.cached(needOf(scope, false))).toBe("Bearer t1");
  expect(await authorize(false)).toBe("Bearer t1");
  expect(await authorize(false, "repository:other:pull")).toBe("Bearer t2");
  vi.advanceTimersByTime(2_000);
  expect(auth.cached(needOf(scope, false))).toBeUndefined();
  expect(await authorize(false)).toBe("Bearer t3");
});

test("a forgotten token is not given again, a newer one stays", async () => {
  const { auth, authorize } = stage(hub, hubRealm);
  await authorize(false);
  auth.forget(needOf(scope, false), "Bearer t1");
  expect(await authorize(false)).toBe("Bearer t2");
  auth.forget(needOf(scope, false), "Bearer t1");
  expect(auth.cached(needOf(scope, false))).toBe("Bearer t2");
});

test("one caller's abort leaves the others their token", async () => {
  const { auth, authorize, seen } = stage(hub, hubRealm);
  const gone = new AbortController();
  const challenge = { scheme: "bearer" as const, parameters: { realm: hubRealm } };
  const first = auth.authorize(challenge, needOf(scope, false), asked, gone.signal);
  const second = authorize(false);
  gone.abort(new Error("gone"));
  await expect(first).rejects.toThrow("gone");
  expect(await second).toBe("Bearer t1");
  expect(seen).toHaveLength(1);
});

test.each([
  ["https://registry.example/", "http://auth.example/token"],
  ["https://registry.example/", "http://registry.example/token"],
  ["http://registry.example/", "http://registry.example.evil.example/token"],
  ["http://registry.example/", "http://127.0.0.1.evil.example/token"],
])("registry %s: no password goes to %s", async (registry, realm) => {
  const { authorize, seen } = stage(registry, realm);
  await expect(authorize(true)).rejects.toThrow(realm);
  expect(seen).toEqual([]);
  expect(await authorize(false)).toBe("Bearer t1");
  expect(seen[0]?.authorization).toBeUndefined();
});

test.each([
  ["http://registry.example/", "https://auth.example/token"],
  ["http://registry.example/", "http://registry.example:5001/token"],
  ["https://registry.example/", "http://localhost:5001/token"],
  ["https://registry.example/", "http://[::1]:5001/token"],
])("registry %s: the password may go to %s", async (registry, realm) => {
  const { authorize, seen } = stage(registry, realm);
  await authorize(true);
  expect(seen[0]?.authorization).toBe("Basic YW5uOnB3");
});

test.each(["ftp://auth.example/token", "https://", ""])("realm %j is refused", async (realm) => {
  const { auth } = stage(hub, hubRealm);
  const challenge = { scheme: "bearer" as const, parameters: { realm } };
  await expect(auth.authorize(challenge, needOf(scope, false), asked, signal)).rejects.toThrow(RegistryUnreachable);
});

test("a service that refuses gives nothing", async () => {
  expect(await stage(hub, hubRealm, { status: 401, body: {} }).authorize(true)).toBeUndefined();
});

test.each([
  { status: 429 },
  { status: 503 },
  { status: 302 },
  { status: 204, body: "" },
  { body: "<html>" },
  { body: "null" },
  { body: {} },
  { body: { token: "a\r\nb: c" } },
])("a service that answers %j has failed", async (answer) => {
  await expect(stage(hub, hubRealm, answer).authorize(false)).rejects.toThrow(RegistryUnreachable);
});

test("access_token is another name, and 60 s the default life", async () => {
  useFakeClock();
  const { auth, authorize } = stage(hub, hubRealm, { body: { access_token: "a" } });
  expect(await authorize(false)).toBe("Bearer a");
  vi.advanceTimersByTime(29_000);
  expect(auth.cached(needOf(scope, false))).toBe("Bearer a");
  vi.advanceTimersByTime(2_000);
  expect(auth.cached(needOf(scope, false))).toBeUndefined();
});

test("Basic is the login itself, and nothing for anonymous", async () => {
  const { auth } = stage(hub, hubRealm);
  const challenge = { scheme: "basic" as const, parameters: { realm: "x" } };
  expect(await auth.authorize(challenge, needOf(scope, true), asked, signal)).toBe("Basic YW5uOnB3");
  expect(await auth.authorize(challenge, needOf(scope, false), asked, signal)).toBeUndefined();
});

test("a password that the registry itself refused backs off for a minute", async () => {
  useFakeClock();
  const { auth } = stage(hub, hubRealm);
  const need = needOf(scope, true);
  const ask = () => auth.authorize({ scheme: "basic" as const, parameters: { realm: "x" } }, need, asked, signal);
  auth.forget(need, (await ask())!);
  expect(await ask()).toBeUndefined();
  vi.advanceTimersByTime(61_000);
  expect(await ask()).toBe("Basic YW5uOnB3");
});

test("an identity token buys a token by POST, and is in no URL and no Authorization", async () => {
  const dispatcher = new MockAgent();
  agents.push(dispatcher);
  dispatcher.disableNetConnect();
  const seen: { path: string; method: string; body: string; headers: unknown }[] = [];
  const service = dispatcher.get("https://auth.example").intercept({ path: () => true, method: () => true });
  service.reply(({ path, method, body, headers }) => {
    seen.push({ path, method, body: body as string, headers });
    return { statusCode: 200, data: JSON.stringify({ access_token: "bought", expires_in: 100, refresh_token: "x" }) };
  });
  const auth = new TokenAuth({ registry: new URL(hub), dispatcher });
  const need: Need = { key: scope, scope, credentials: { identityToken: "id+secret" } };
  const challenge = { scheme: "bearer" as const, parameters: { realm: `${hubRealm}?a=b`, service: "s v" } };
  expect(await auth.authorize(challenge, need, asked, signal)).toBe("Bearer bought");
  expect(seen).toMatchObject([{ path: "/token?a=b", method: "POST" }]);
  expect(Object.fromEntries(new URLSearchParams(seen[0]!.body))).toEqual({
    grant_type: "refresh_token",
    client_id: "ndn-registry",
    service: "s v",
    scope,
    refresh_token: "id+secret",
  });
  expect(JSON.stringify(seen[0]!.headers)).not.toContain("secret");
  expect(
    await auth.authorize({ scheme: "basic", parameters: {} }, { ...need, key: "other" }, asked, signal),
  ).toBeUndefined();
});

test("a login that was refused backs off for a minute; another login does not", async () => {
  useFakeClock();
  const { auth, authorize, seen } = stage(hub, hubRealm, { status: 401, body: {} });
  const challenge = { scheme: "bearer" as const, parameters: { realm: hubRealm } };
  expect([await authorize(true), await authorize(true)]).toEqual([undefined, undefined]);
  expect(seen).toHaveLength(1);
  const other: Need = { key: scope, scope, credentials: { username: "ann", password: "new" } };
  await auth.authorize(challenge, other, asked, signal);
  expect(seen).toHaveLength(2);
  vi.advanceTimersByTime(61_000);
  await authorize(true);
  expect(seen).toHaveLength(3);
});

test("an answer that cannot be read is not quoted", async () => {
  const { authorize } = stage(hub, hubRealm, { body: '{"token":"hunter2"' });
  const failure = (await authorize(false).catch((err: unknown) => err)) as Error;
  expect(failure.message).toBe("token service https://auth.example/token: answer is not JSON");
  expect((failure.cause as Error).message).not.toContain("hunter2");
});

test("a service that was silent is not waited for again for half a minute, one that failed at once is asked again", async () => {
  useFakeClock();
  const dispatcher = new MockAgent();
  agents.push(dispatcher);
  dispatcher.disableNetConnect();
  let [asked, takesMs] = [0, 6_000];
  const service = dispatcher.get("https://auth.example").intercept({ path: () => true });
  service
    .reply(() => {
      asked++;
      vi.advanceTimersByTime(takesMs);
      return { statusCode: 503, data: "" };
    })
    .persist();
  const auth = new TokenAuth({ registry: new URL(hub), dispatcher });
  const challenge = { scheme: "bearer" as const, parameters: { realm: hubRealm } };
  const ask = (key: string) =>
    expect(auth.authorize(challenge, needOf(key, false), "https://registry.example/v2/", signal)).rejects.toThrow(
      "answers 503",
    );
  await ask("repository:a:pull");
  for (const key of ["repository:a:pull", "repository:b:pull"]) await ask(key);
  expect(asked).toBe(1);
  vi.advanceTimersByTime(31_000);
  takesMs = 10;
  for (const key of ["repository:a:pull", "repository:a:pull"]) await ask(key);
  expect(asked).toBe(3);
});
