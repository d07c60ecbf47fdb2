import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { metadataName, objectName, repositoryName } from "#blob/names.ts";
import { BlobUnavailable } from "#blob/source.ts";
import { joinName, segment } from "#ndn/packet/name.ts";
import type { Digest } from "#oci/reference.ts";
import { PublishPolicy } from "#server/publish-policy.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { prefix, serve } from "../publish/serving.ts";

const bytes = patternBlob(50_000);
const credentials = { username: "publisher", password: "secret" };
let registry: TestRegistry;
let digest: Digest;

beforeEach(async () => {
  registry = await startRegistry({ auth: { users: { publisher: "secret" }, privateRepositories: ["team/private"] } });
  for (const repository of ["team/open", "team/private", "elsewhere"]) digest = registry.addBlob(repository, bytes);
});
afterEach(() => registry.close());

/** Whether anybody used the login. */
function logins(): number {
  return registry.tokenRequests.filter(({ authorization }) => authorization !== undefined).length;
}

test("patterns are globs over repository names, and an exclusion comes first", () => {
  const policy = new PublishPolicy({ publish: ["team/*", "public/**"], exclude: ["team/secret*"] });
  const allowed = ["team/a", "public/a", "public/a/b"];
  const refused = ["team", "team/a/b", "team/secret", "team/secrets", "other"];
  expect(allowed.filter((name) => !policy.allows(name))).toEqual([]);
  expect(refused.filter((name) => policy.allows(name))).toEqual([]);
});

test("without patterns everything may be asked for, and nothing is listed", () => {
  const policy = new PublishPolicy({ publish: [], exclude: ["team/**"] });
  expect([policy.allows("other"), policy.allows("team/a"), policy.isListed("other")]).toEqual([true, false, false]);
});

describe("with a login but without --publish", () => {
  test("what an anonymous pull can read is published, a private repository is not, and the login is never used", async () => {
    await using serving = await serve(registry, { credentials });
    const reader = serving.reader();
    expect((await reader.read({ repository: "team/open", digest })).equals(bytes)).toBe(true);
    await expect(serving.reader().read({ repository: "team/private", digest })).rejects.toThrow(BlobUnavailable);
    expect(logins()).toBe(0);
  });

  test("a hint of the private repository does not open it", async () => {
    await using serving = await serve(registry, { credentials });
    const reader = serving.reader();
    const name = joinName(objectName(prefix, digest, 8192), segment(0));
    reader.ask(name, { forwardingHint: repositoryName(prefix, "team/private") });
    await until("the registry to be asked", () => registry.requests.some(({ status }) => status === 401));
    await expect(reader.read({ repository: "team/private", digest })).rejects.toThrow(BlobUnavailable);
    expect([serving.server.producer.counters.segmentsSent, logins()]).toEqual([0, 0]);
  });
});

test("with --publish the login is used for what is listed, and nothing else is asked for", async () => {
  await using serving = await serve(registry, { credentials, publish: ["team/*"] });
  expect((await serving.reader().read({ repository: "team/private", digest })).equals(bytes)).toBe(true);
  expect(logins()).toBeGreaterThan(0);
  const before = registry.requests.length;
  const reader = serving.reader();
  reader.ask(metadataName(prefix, "elsewhere", digest), { canBePrefix: true });
  const { counters } = serving.server.producer;
  const seen = counters.interests;
  await until("the Interest to be seen", () => counters.interests > seen);
  expect(registry.requests.length).toBe(before);
});

test("an excluded repository is silent, by metadata and by hint, and the registry is not asked", async () => {
  await using serving = await serve(registry, { exclude: ["team/*"] });
  const reader = serving.reader();
  reader.ask(metadataName(prefix, "team/open", digest), { canBePrefix: true });
  reader.ask(joinName(objectName(prefix, digest, 8192), segment(0)), {
    forwardingHint: repositoryName(prefix, "team/open"),
  });
  await until("the Interests to be seen", () => serving.server.producer.counters.interests === 2);
  expect(registry.requests).toEqual([]);
  expect((await reader.read({ repository: "elsewhere", digest })).equals(bytes)).toBe(true);
});
