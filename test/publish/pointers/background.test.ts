/** What is done beside the questions: no more than it may be, whatever the registry answers. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type Digest, digestOfHash } from "#oci/reference.ts";
import { Catalog } from "#publish/pointers/catalog.ts";
import { TagDigests } from "#publish/pointers/tag-digests.ts";
import { until } from "#test/support/until.ts";

const digest = digestOfHash(Buffer.alloc(32, 1));
const everything = { allows: () => true };

test.each<[string, () => Promise<Digest | "unsaid" | undefined>, boolean]>([
  ["says what it means", async () => digest, true],
  ["does not say it by HEAD", async () => "unsaid", false],
  ["no longer has it", async () => undefined, false],
])("a tag of a list is asked for once in a while where the registry %s", async (_, answer, isKnown) => {
  const stop = new AbortController();
  const asked: string[] = [];
  const digestOf = (_repository: string, tag: string) => {
    asked.push(tag);
    return answer();
  };
  const digests = new TagDigests({ digestOf }, undefined, stop.signal);
  const list = () => digests.describe("team/app", ["b", "a"]);
  expect(await list()).toEqual([{ name: "b" }, { name: "a" }]);
  await until("both to be asked for", () => asked.length === 2);
  await delay(0); // the last answer is learned
  for (let i = 0; i < 10; i++) await list();
  const known = await list();
  expect(known.every((tag) => (tag.digest === digest) === isKnown)).toBe(true);
  expect(asked.sort()).toEqual(["a", "b"]);
  stop.abort();
});

test("of many tags those are asked for that sort last, five hundred at most", async () => {
  const stop = new AbortController();
  const asked: string[] = [];
  const digestOf = async (_: string, tag: string) => {
    asked.push(tag);
    return digest;
  };
  const digests = new TagDigests({ digestOf }, undefined, stop.signal);
  await digests.describe(
    "team/app",
    Array.from({ length: 2_000 }, (_, i) => `v${10_000 + i}`),
  );
  await until("some to be asked for", () => asked.length >= 3);
  stop.abort();
  expect(asked[0]).toBe("v11500");
});

test("a trouble of the registry ends the questions in the background, until the next list", async () => {
  const stop = new AbortController();
  let asked = 0;
  const digestOf = async () => {
    asked++;
    throw new Error("429");
  };
  const digests = new TagDigests({ digestOf }, undefined, stop.signal);
  const tags = Array.from({ length: 100 }, (_, i) => `v${i}`);
  await digests.describe("team/app", tags);
  await until("the first question", () => asked === 1);
  await delay(0);
  await digests.describe("team/app", tags);
  await until("the next one", () => asked === 2);
  stop.abort();
});

test("a catalog that cannot be made is not tried again for each who asks", async () => {
  const stop = new AbortController();
  let asked = 0;
  const repositories = async () => {
    asked++;
    throw new Error("503");
  };
  const failures: Error[] = [];
  const registry = { repositories, isPublic: async () => true };
  const onFailed = (reason: Error) => void failures.push(reason);
  const catalog = new Catalog({ registry, policy: everything, signal: stop.signal, onFailed });
  for (let i = 0; i < 50; i++) await expect(catalog.ask()).rejects.toThrow("the catalog is being made");
  expect([asked, failures.length]).toEqual([1, 1]);
});

test("while a new catalog takes its time the last one is answered, and none that is incomplete", async () => {
  const stop = new AbortController();
  const gate = Promise.withResolvers<void>();
  let [made, isSlow] = [0, false];
  const repositories = async () => {
    if (isSlow) await gate.promise;
    return ["a", "b", `new-${made++}`];
  };
  const isPublic = async (repository: string) => repository !== "b";
  const registry = { repositories, isPublic };
  const catalog = new Catalog({ registry, policy: everything, signal: stop.signal, onFailed: () => {} });
  const first = await catalog.ask();
  expect(first.value).toEqual(["a", "new-0"]);
  expect(await catalog.ask()).toBe(first);
  isSlow = true;
  void catalog.renew();
  expect(await catalog.ask()).toBe(first);
  gate.resolve();
  await catalog.renew();
  expect((await catalog.ask()).value).toEqual(["a", "new-1"]);
  stop.abort();
});
