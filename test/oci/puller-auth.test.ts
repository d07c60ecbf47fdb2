import { buffer } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { type Auth, RegistryClient, type RegistryClientOptions } from "#oci/registry-client.ts";
import { type AuthOptions, type RegistryOptions, startRegistry } from "#test/support/registry.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

const signal = AbortSignal.timeout(60_000);
const credentials = { username: "ann", password: "pw" };
const wrong = { username: "ann", password: "no" };
const secret: AuthOptions = { users: { ann: "pw" }, privateRepositories: ["team/app"] };
const withoutAuthorization: Auth = { kind: "puller", value: undefined };
const basic = (login: string) => `Basic ${Buffer.from(login).toString("base64")}`;

async function stage(options: RegistryOptions, clientOptions: Partial<RegistryClientOptions> = {}) {
  const registry = await startRegistry(options);
  const client = new RegistryClient({ base: registry.url, ...clientOptions });
  open.push(registry, client);
  for (const name of ["team/app", "library/alpine"]) registry.addImage(name, "latest", [Buffer.from(name)]);
  const get = async (name: string, auth: Auth) => {
    const { status, headers, body } = await client.request("GET", `/v2/${name}/manifests/latest`, { auth, signal });
    await buffer(body);
    return { status, challenge: headers["www-authenticate"] };
  };
  return { registry, client, get };
}

async function tokenFor(url: URL, login: string): Promise<string> {
  const request = new URL("/token?scope=repository:team/app:pull", url);
  const answer = await fetch(request, { headers: { authorization: basic(login) } });
  return `Bearer ${((await answer.json()) as { token: string }).token}`;
}

test("a puller without Authorization pulls what is public, and does nothing for it", async () => {
  const { registry, get } = await stage({ auth: { users: {} } });
  expect(await get("library/alpine", withoutAuthorization)).toMatchObject({ status: 200 });
  await get("library/alpine", withoutAuthorization);
  expect(registry.tokenRequests).toHaveLength(1);
  expect(registry.requests).toHaveLength(3);
});

test.each(["bearer", "basic"] as const)(
  "what is private is refused with the registry's own challenge (%s)",
  async (kind) => {
    const { registry, get } = await stage({ auth: { ...secret, kind } });
    const straight = await fetch(new URL("/v2/team/app/manifests/latest", registry.url));
    expect(await get("team/app", withoutAuthorization)).toEqual({
      status: 401,
      challenge: straight.headers.get("www-authenticate"),
    });
    if (kind === "basic") expect(registry.requests).toHaveLength(2);
  },
);

test.each(["bearer", "basic"] as const)("the client's login is for pullers that have none (%s)", async (kind) => {
  const { get } = await stage({ auth: { ...secret, kind } }, { credentials });
  expect(await get("team/app", withoutAuthorization)).toMatchObject({ status: 200 });
  expect(await get("team/app", { kind: "puller", value: basic("bob:x") })).toMatchObject({ status: 401 });
});

test("a puller's own Authorization goes verbatim, and its challenge comes back unanswered", async () => {
  const { registry, get } = await stage({ auth: secret }, { credentials });
  const { status, challenge } = await get("team/app", { kind: "puller", value: "Bearer stale" });
  expect([status, challenge]).toEqual([401, expect.stringContaining('error="invalid_token"')]);
  expect(registry.tokenRequests).toEqual([]);
  expect(registry.requests.map(({ headers }) => headers.authorization)).toEqual(["Bearer stale"]);
});

test("where its token may be for another name, a refused puller continues as one without Authorization", async () => {
  const { registry, get } = await stage({ auth: { ...secret, realm: "same" } });
  const useless: Auth = { kind: "puller", value: "Bearer useless", orWithout: true };
  expect(await get("library/alpine", useless)).toMatchObject({ status: 200 });
  expect(await get("team/app", useless)).toMatchObject({ status: 401 });
  const good: Auth = { kind: "puller", value: await tokenFor(registry.url, "ann:pw"), orWithout: true };
  const before = registry.tokenRequests.length;
  expect(await get("team/app", good)).toMatchObject({ status: 200 });
  expect(registry.tokenRequests).toHaveLength(before);
});

test("a client's login that is no longer good leaves public images, and is not tried at each request", async () => {
  const { registry, get } = await stage({ auth: secret }, { credentials: wrong });
  for (let i = 0; i < 5; i++) expect(await get("library/alpine", withoutAuthorization)).toMatchObject({ status: 200 });
  expect(registry.tokenRequests.map(({ status }) => status)).toEqual([401, 200]);
  expect(await get("team/app", withoutAuthorization)).toMatchObject({ status: 401 });
});

test("credentials may change while the client runs", async () => {
  let current = wrong;
  const { get } = await stage({ auth: secret }, { credentials: () => Promise.resolve(current) });
  expect(await get("team/app", withoutAuthorization)).toMatchObject({ status: 401 });
  current = credentials;
  expect(await get("team/app", withoutAuthorization)).toMatchObject({ status: 200 });
});

test("what has no repository gets the token that its challenge asks for", async () => {
  const { registry, client } = await stage({ auth: { ...secret, anonymous: false } }, { credentials });
  for (const path of ["/v2/", "/v2/_catalog?n=1"]) {
    const { status, body } = await client.request("GET", path, { auth: withoutAuthorization, signal });
    await buffer(body);
    expect(status).toBe(200);
  }
  expect(registry.tokenRequests.map(({ url }) => new URL(url, registry.url).searchParams.has("scope"))).toEqual([
    false,
    false,
  ]);
});

test("identities are told apart, and no header can be read from them", async () => {
  const { client } = await stage({});
  const { client: withLogin } = await stage({}, { credentials });
  const puller: Auth = { kind: "puller", value: "Basic secret" };
  expect(await client.identityOf(withoutAuthorization, signal)).toBe("anonymous");
  expect(await withLogin.identityOf(withoutAuthorization, signal)).toBe("gateway");
  expect(await withLogin.identityOf({ kind: "anonymous" }, signal)).toBe("anonymous");
  const name = await withLogin.identityOf(puller, signal);
  expect(name).toBe(await client.identityOf(puller, signal));
  expect(name).not.toContain("secret");
  expect(await client.identityOf({ ...puller, orWithout: true }, signal)).not.toBe(name);
  expect(await client.identityOf({ kind: "puller", value: "Basic other" }, signal)).not.toBe(name);
});

test("what a puller says of itself is part of its identity, what it wants is not; without it identities stay as they were", async () => {
  const { client } = await stage({});
  const identity = (headers: Record<string, string>, query = "", value?: string) =>
    client.identityOf({ kind: "puller", value, sent: { headers, query } }, signal);
  const wants = { accept: "*/*", "user-agent": "docker/28", "if-none-match": '"a"', "x-request-id": "1", via: "x" };
  // Rights on disk are kept under these names.
  expect(await identity(wants)).toBe("anonymous");
  expect(await identity(wants, "", "Basic secret")).toBe("puller iyQj9ms5HXvXZV5DYw69WpaTOF026_9FJJo2HuV-v3o");
  const [cookie, key] = [{ cookie: "a=1" }, { "x-api-key": "s3cret" }];
  const told = await Promise.all([
    identity({}),
    identity(cookie),
    identity({ cookie: "a=2" }),
    identity(key),
    identity({ ...cookie, ...key }),
    identity({}, "?a=1"),
    identity({}, "?a=2"),
    identity(cookie, "", "Basic secret"),
    identity({}, "", "Basic secret"),
  ]);
  expect(new Set(told).size).toBe(told.length);
  expect(told.join()).not.toMatch(/s3cret|a=/);
  expect(await identity({ ...key, ...cookie, ...wants })).toBe(told[4]);
});

test("every answer of the registry is notified, with what it says of its limits", async () => {
  const told: [number, unknown][] = [];
  const onAnswer: RegistryClientOptions["onAnswer"] = ({ status, headers }) =>
    told.push([status, headers["ratelimit-remaining"]]);
  const { get } = await stage({ rateLimit: { limit: 2 } }, { onAnswer });
  for (let i = 0; i < 3; i++) await get("library/alpine", withoutAuthorization);
  expect(told).toEqual([
    [200, "1;w=21600"],
    [200, "0;w=21600"],
    [429, "0;w=21600"],
  ]);
});
