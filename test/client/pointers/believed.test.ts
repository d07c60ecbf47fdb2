import { setTimeout as delay } from "node:timers/promises";
import pino from "pino";
import { expect, test } from "vitest";
import { parsePointerName, pointerName } from "#blob/pointer-names.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import { joinName, segment, version } from "#ndn/packet/name.ts";
import { encodeSignedData } from "#ndn/trust/signed-data.ts";
import { BlobStore } from "#store/blob-store.ts";
import { makeIdentity } from "#test/publish/identity.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { ask } from "../endpoint.ts";
import { digestOfBytes } from "./signing-server.ts";
import { manifest, prefix, repository, usePointerStage } from "./stage.ts";

const stage = usePointerStage();
const byTag = `/v2/${repository}/manifests/latest`;
const target = { kind: "tag", repository, tag: "latest" } as const;
const name = pointerName(prefix, target);
const [older, newer] = [Buffer.from('{"older":true}'), Buffer.from('{"newer":true}')];
/** A question for HEAD and GET is held for 250 ms. */
const held = () => delay(300);

const digestBy = async (url: URL) => (await ask(url, byTag)).headers["docker-content-digest"];
const questions = () => stage.server.asked.filter((kind) => kind.startsWith("tag"));

/** The cache gives this to those who ask as everyone does. */
function freeze(packet: Buffer | undefined): void {
  stage.server.cached = (asked) => (parsePointerName(prefix, asked) ? packet : undefined);
}

test("a pointer that is young needs no question past caches", async () => {
  const digest = stage.server.saysTag(repository, "latest", manifest);
  const { url } = await stage.start();
  expect(await digestBy(url)).toBe(digest);
  expect(questions()).toEqual(["tag"]);
});

test("a replayed pointer is refused, also after a restart of the client", async () => {
  stage.server.saysTag(repository, "latest", older);
  const replayed = await stage.server.signed(name, target);
  await delay(5);
  const now = stage.server.saysTag(repository, "latest", newer);
  await using folder = await makeTemporaryFolder();
  const open = async () => {
    const store = await BlobStore.open({ directory: folder.path, maxBytes: 1e6, log: pino({ level: "silent" }) });
    return { endpoint: await stage.start({ store }), store };
  };
  const first = await open();
  expect(await digestBy(first.endpoint.url)).toBe(now);
  await first.endpoint[Symbol.asyncDispose]();
  await first.store.close();
  freeze(replayed);
  const second = await open();
  expect(await digestBy(second.endpoint.url)).toBe(now);
  expect(questions()).toEqual(["tag", "tag", "tag unique"]);
  await second.endpoint[Symbol.asyncDispose]();
  await second.store.close();
});

test("a cache that is frozen is noticed when what it has is older than --max-age", async () => {
  stage.server.saysTag(repository, "latest", older);
  const { url } = await stage.start({ maxAgeMs: 600 });
  freeze(await stage.server.signed(name, target));
  const now = stage.server.saysTag(repository, "latest", newer);
  expect(await digestBy(url)).toBe(digestOfBytes(older));
  await delay(700);
  expect(await digestBy(url)).toBe(now);
});

test("a server that allows less than --max-age is asked sooner", async () => {
  stage.server.says(target, { bytes: older, mediaType: "a/b", change: { maxAgeMs: 200 } });
  const { url } = await stage.start();
  freeze(await stage.server.signed(name, target));
  const now = stage.server.says(target, { bytes: newer, mediaType: "a/b" });
  await delay(300);
  expect(await digestBy(url)).toBe(now);
});

test.each([3_600_000, -3_600_000])("with clocks %d ms apart the pull works, with one warning", async (clockAheadMs) => {
  stage.server.clockAheadMs = clockAheadMs;
  const digest = stage.server.saysTag(repository, "latest", manifest);
  const { url, logs } = await stage.start();
  expect(await digestBy(url)).toBe(digest);
  await held();
  const moved = stage.server.saysTag(repository, "latest", newer);
  expect(await digestBy(url)).toBe(moved);
  expect(questions()).toEqual(["tag", "tag unique", "tag"]);
  stage.server.says({ kind: "tag", repository, tag: "none" }, "absent");
  expect((await ask(url, `/v2/${repository}/manifests/none`)).status).toBe(404);
  expect(logs.filter(({ msg }) => String(msg).includes("clocks"))).toHaveLength(1);
});

test("of two servers with clocks an hour apart neither is refused, and what is asked past caches is believed", async () => {
  const digest = stage.server.saysTag(repository, "latest", manifest);
  const { url } = await stage.start();
  const first = stage.server.identity;
  expect(await digestBy(url)).toBe(digest);
  // The second one signs with the same key: what it says is older by an hour, and true.
  stage.server.clockAheadMs = -3_600_000;
  const moved = stage.server.saysTag(repository, "latest", newer);
  await held();
  expect(await digestBy(url)).toBe(moved);
  expect(stage.server.identity).toBe(first);
});

test.each(["GET", "HEAD"])("a %s is not answered with what no anchor stands for", async (method) => {
  const digest = stage.server.saysTag(repository, "latest", manifest);
  const { signer } = await makeIdentity(prefix);
  freeze(await stage.server.signed(name, target, signer));
  const { url } = await stage.start();
  const answer = await ask(url, byTag, { method });
  expect([answer.status, answer.headers["docker-content-digest"]]).toEqual([200, digest]);
  expect(questions()).toContain("tag unique");
});

test("a forged Nack does not hide a tag, and an old one neither", async () => {
  const digest = stage.server.saysTag(repository, "latest", manifest);
  const { signer } = await makeIdentity(prefix);
  const nack = { contentType: contentTypes.Nack, freshnessMs: 1000, content: Buffer.alloc(0) };
  const { url } = await stage.start();
  freeze(await encodeSignedData(joinName(name, version(1), segment(0)), nack, signer));
  expect(await digestBy(url)).toBe(digest);
  stage.server.says(target, "absent");
  stage.server.clockAheadMs = -61_000;
  freeze(await stage.server.signed(name, target));
  stage.server.clockAheadMs = 0;
  stage.server.saysTag(repository, "latest", manifest);
  await held();
  expect(await digestBy(url)).toBe(digest);
});

test.each([
  ["a digest that is not of the bytes", { inline: Buffer.from("other") }],
  ["another size", { sizeBytes: 17 }],
  ["more than a manifest may have", { sizeBytes: 5 * 1024 * 1024 }],
])(
  "a pointer with %s is not used",
  async (_what, change) => {
    stage.server.says(target, { bytes: manifest, mediaType: "a/b", change });
    const { url } = await stage.start();
    const answer = await ask(url, byTag);
    expect(answer.status).toBe(503);
    expect(answer.body.includes(manifest)).toBe(false);
  },
  60_000,
);

test("a pointer by digest that names another one is not used", async () => {
  const digest = digestOfBytes(manifest);
  stage.server.says({ kind: "manifest", repository, digest }, { bytes: newer, mediaType: "a/b" });
  const { url } = await stage.start();
  expect((await ask(url, `/v2/${repository}/manifests/${digest}`)).status).toBe(503);
});

test("while no one answers a tag is served as it was, and says so; not longer than --stale-tags", async () => {
  const digest = stage.server.saysTag(repository, "latest", manifest);
  const clients = await Promise.all([
    stage.start({ tagTimeoutMs: 200 }),
    stage.start({ tagTimeoutMs: 200, staleTagsMs: 0 }),
  ]);
  for (const { url } of clients) expect(await digestBy(url)).toBe(digest);
  stage.server.isDown = true;
  await held();
  const [stale, refused] = await Promise.all(clients.map(({ url }) => ask(url, byTag)));
  expect([stale!.status, stale!.headers["x-manifest-source"]]).toEqual([200, "store"]);
  expect(stale!.headers.warning).toMatch(/last seen/);
  expect(Number(stale!.headers.age)).toBeGreaterThanOrEqual(0);
  expect(refused!.status).toBe(503);
}, 60_000);

test("those who ask for the same at the same time share the answer", async () => {
  stage.server.saysTag(repository, "latest", manifest);
  const { url } = await stage.start();
  await Promise.all(Array.from({ length: 20 }, () => digestBy(url)));
  expect(questions().length).toBeLessThan(10); // a slow machine takes longer than an answer is held
});
