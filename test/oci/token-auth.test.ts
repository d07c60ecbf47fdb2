import { MockAgent } from "undici";
import { afterEach, expect, test, vi } from "vitest";
import { RegistryUnreachable } from "#oci/errors.ts";
import { TokenAuth } from "#oci/token-auth.ts";

const credentials = { username: "ann", password: "pw" };
const scope = "repository:team/app:pull";
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
  const auth = new TokenAuth({ registry: new URL(registry), credentials, dispatcher });
  const authorize = (login: boolean, wanted = scope) =>
    auth.authorize({ scheme: "bearer", parameters: { realm, service: "s v" } }, wanted, login, signal);
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
  expect(auth.cached(scope, false)).toBe("Bearer t1");
  expect(await authorize(false)).toBe("Bearer t1");
  expect(await authorize(false, "repository:other:pull")).toBe("Bearer t2");
  vi.advanceTimersByTime(2_000);
  expect(auth.cached(scope, false)).toBeUndefined();
  expect(await authorize(false)).toBe("Bearer t3");
});

test("a forgotten token is not given again, a newer one stays", async () => {
  const { auth, authorize } = stage(hub, hubRealm);
  await authorize(false);
  auth.forget(scope, false, "Bearer t1");
  expect(await authorize(false)).toBe("Bearer t2");
  auth.forget(scope, false, "Bearer t1");
  expect(auth.cached(scope, false)).toBe("Bearer t2");
});

test("one caller's abort leaves the others their token", async () => {
  const { auth, authorize, seen } = stage(hub, hubRealm);
  const gone = new AbortController();
  const challenge = { scheme: "bearer" as const, parameters: { realm: hubRealm } };
  const first = auth.authorize(challenge, scope, false, gone.signal);
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

test.each(["ftp://auth.example/token", "/token", ""])("realm %j is refused", async (realm) => {
  const { auth } = stage(hub, hubRealm);
  const challenge = { scheme: "bearer" as const, parameters: { realm } };
  await expect(auth.authorize(challenge, scope, false, signal)).rejects.toThrow(RegistryUnreachable);
});

test("a service that refuses gives nothing", async () => {
  expect(await stage(hub, hubRealm, { status: 401, body: {} }).authorize(true)).toBeUndefined();
});

test.each([
  { status: 429 },
  { status: 503 },
  { status: 302 },
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
  expect(auth.cached(scope, false)).toBe("Bearer a");
  vi.advanceTimersByTime(2_000);
  expect(auth.cached(scope, false)).toBeUndefined();
});

test("Basic is the login itself, and nothing for anonymous", async () => {
  const { auth } = stage(hub, hubRealm);
  const challenge = { scheme: "basic" as const, parameters: { realm: "x" } };
  expect(await auth.authorize(challenge, scope, true, signal)).toBe("Basic YW5uOnB3");
  expect(await auth.authorize(challenge, scope, false, signal)).toBeUndefined();
});
