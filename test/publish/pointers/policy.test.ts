import { afterEach, beforeEach, expect, test } from "vitest";
import { type PointerTarget, pointerName } from "#blob/pointer-names.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import type { Digest } from "#oci/reference.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { prefix, type Serving, serve } from "../serving.ts";
import { askPointer, getPointer } from "./asking.ts";

const credentials = { username: "publisher", password: "secret" };
const mediaType = "application/vnd.oci.image.manifest.v1+json";
let registry: TestRegistry;
let digest: Digest;

beforeEach(async () => {
  const auth = { users: { publisher: "secret" }, privateRepositories: ["team/private", "team/private-none"] };
  registry = await startRegistry({ auth });
  for (const repository of ["team/open", "team/private", "elsewhere"])
    digest = registry.addManifest(repository, "latest", { mediaType, bytes: Buffer.from('{"schemaVersion":2}') });
});
afterEach(() => registry.close());

/** Everything that can be asked of a repository. */
function allOf(repository: string): PointerTarget[] {
  return [
    { kind: "tag", repository, tag: "latest" },
    { kind: "manifest", repository, digest },
    { kind: "tags", repository },
    { kind: "referrers", repository, digest },
  ];
}

/** Whether anybody used the login. */
function logins(): number {
  return registry.tokenRequests.filter(({ authorization }) => authorization !== undefined).length;
}

/** What anyone can see of an answer: all but its time and signature. */
async function seenOf(serving: Serving, target: PointerTarget) {
  const { contentType, freshnessPeriod, content, isFinalBlock } = await getPointer(serving.reader(), target);
  return { contentType, freshnessPeriod, length: content.length, isFinalBlock };
}

/** Ask for all, and resolve when the server has seen that. */
async function askedInVain(serving: Serving, targets: readonly PointerTarget[]): Promise<void> {
  const { counters } = serving.server.producer;
  const before = counters.interests;
  const reader = serving.reader();
  for (const target of targets) reader.ask(pointerName(prefix, target), { canBePrefix: true, mustBeFresh: true });
  await until("the Interests to be seen", () => counters.interests === before + targets.length);
}

test("a private repository is answered as one that does not exist, and the login is not used for it", async () => {
  await using serving = await serve(registry, { credentials });
  for (const [i, target] of allOf("team/private").entries()) {
    const seen = await seenOf(serving, target);
    expect(seen).toEqual({ contentType: contentTypes.Nack, freshnessPeriod: 1_000, length: 0, isFinalBlock: false });
    expect(await seenOf(serving, allOf("team/none")[i]!)).toEqual(seen);
    expect(await seenOf(serving, allOf("team/private-none")[i]!)).toEqual(seen);
  }
  expect(logins()).toBe(0);
});

test("what an anonymous pull can read is published, with the token that anyone gets", async () => {
  await using serving = await serve(registry, { credentials });
  const [tag, manifest, tags] = allOf("team/open");
  for (const target of [tag!, manifest!]) expect(await askPointer(serving.reader(), target)).toMatchObject({ digest });
  expect(await askPointer(serving.reader(), tags!)).toBeDefined();
  expect(logins()).toBe(0);
});

test("what the operator has listed is published with the login, and nothing else is asked for", async () => {
  await using serving = await serve(registry, { credentials, publish: ["team/*"] });
  expect(await askPointer(serving.reader(), allOf("team/private")[0]!)).toMatchObject({ digest });
  expect(logins()).toBeGreaterThan(0);
  const before = registry.requests.length;
  await askedInVain(serving, allOf("elsewhere"));
  expect(registry.requests).toHaveLength(before);
});

test("an excluded repository is silence, and the registry is not asked", async () => {
  await using serving = await serve(registry, { exclude: ["team/*"] });
  await askedInVain(serving, [...allOf("team/open"), ...allOf("team/none")]);
  expect(registry.requests).toEqual([]);
  expect(serving.server.producer.counters.segmentsSent).toBe(0);
});
