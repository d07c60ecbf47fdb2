import { expect, test } from "vitest";
import { patternBlob } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { useImageStage } from "./stage.ts";

const stage = useImageStage();
const shared = patternBlob(100_000, 1);
const layer = (n: number) => patternBlob(20_000, n);

/** Two images that share a layer, pulled. */
async function twoImages() {
  const first = stage.registry.addImage("team/app", "1.0", [shared, layer(2)]);
  const second = stage.registry.addImage("library/web", "latest", [shared, layer(3)]);
  await stage.start();
  await stage.pull("team/app", "1.0", [first.config, ...first.layers]);
  await stage.pull("library/web", "latest", [second.config, ...second.layers]);
  const blobs = [first, second].flatMap(({ config, layers }) => [config, ...layers]);
  await until("the blobs in the store", () => blobs.every((digest) => stage.store.has(digest)));
  return { first, second, app: `${stage.host}/team/app:1.0`, web: `${stage.host}/library/web:latest` };
}

const has = (digests: readonly string[]) => digests.map((digest) => stage.store.has(digest as never));

test("images are listed by name with what is cached of them, last used first, and their blobs", async () => {
  const { first, app, web } = await twoImages();
  const { images, blobs } = await stage.list();
  expect(images.map(({ name }) => name)).toEqual([web, app]);
  expect(images[1]).toMatchObject({
    repository: `${stage.host}/team/app`,
    tag: "1.0",
    digest: first.manifest,
    isPinned: false,
  });
  expect(images[1]!.cachedBytes).toBe(images[1]!.sizeBytes);
  expect(images[1]!.sizeBytes).toBeGreaterThan(120_000);
  expect(blobs).toHaveLength(7);
  await stage.store.delete(first.layers[1]!);
  const [, partly] = (await stage.list()).images;
  expect(partly!.sizeBytes - partly!.cachedBytes).toBe(20_000);
});

test("looking is no use: the order of use stays as it was", async () => {
  const { web, app } = await twoImages();
  const order = () => stage.store.list().map(({ digest }) => digest);
  const before = order();
  await stage.list();
  await stage.list();
  expect(order()).toEqual(before);
  expect(await stage.names()).toEqual([web, app]);
});

test("removing an image leaves what another one needs", async () => {
  const { first, second, app, web } = await twoImages();
  const { status, outcome } = await stage.ask("images", "team/app:1.0");
  expect([status, outcome]).toEqual([200, { name: app, blobs: 3, freedBytes: expect.any(Number) }]);
  expect(outcome.freedBytes).toBeGreaterThan(20_000);
  expect(has([first.manifest, first.config, ...first.layers])).toEqual([false, false, true, false]);
  expect(has([second.manifest, second.config, ...second.layers])).toEqual([true, true, true, true]);
  expect(await stage.names()).toEqual([web]);
  await stage.restart();
  expect(await stage.names()).toEqual([web]);
});

test("of two tags of one image the other stays when one is removed, of two repositories too", async () => {
  const layers = [shared, layer(2)];
  const image = stage.registry.addImage("team/app", "1.0", layers);
  for (const [repository, tag] of [
    ["team/app", "stable"],
    ["team/copy", "1.0"],
  ] as const)
    stage.registry.addImage(repository, tag, layers);
  await stage.start();
  for (const name of ["team/app:1.0", "team/app:stable", "team/copy:1.0"]) await stage.ask("add", name);
  expect((await stage.ask("images", "team/app:stable")).outcome).toMatchObject({ blobs: 0, freedBytes: 0 });
  expect((await stage.ask("images", "team/app:1.0")).outcome).toMatchObject({ blobs: 0 });
  expect(await stage.names()).toEqual([`${stage.host}/team/copy:1.0`]);
  expect(has([image.manifest, ...image.layers])).toEqual([true, true, true]);
  expect((await stage.ask("images", "copy:1.0")).outcome).toMatchObject({ blobs: 4 });
  expect((await stage.list()).usedBytes).toBe(0);
});

test.each([
  ["the end of its name", "app:1.0"],
  ["its repository, as latest", "web"],
  ["the endpoint in front", "localhost:5000/team/app:1.0"],
  ["the beginning of its digest", "DIGEST"],
])("an image is found by %s", async (_how, text) => {
  const { first, app, web } = await twoImages();
  const name = text === "DIGEST" ? first.manifest.slice("sha256:".length, 20) : text;
  const { outcome } = await stage.ask("images", name);
  expect(outcome.name).toBe(text === "web" ? web : app);
});

test("what may be several is refused with their names, and what is none too", async () => {
  stage.registry.addImage("a/app", "1", [layer(2)]);
  stage.registry.addImage("b/app", "1", [layer(3)]);
  await stage.start();
  for (const name of ["a/app:1", "b/app:1"]) await stage.ask("add", name);
  const several = await stage.ask("images", "app:1");
  expect([several.status, JSON.stringify(several.outcome)]).toEqual([
    409,
    expect.stringMatching(/may be .*\/[ab]\/app:1, /),
  ]);
  for (const name of ["app:2", "pp:1", "deadbeef", `sha256:${"0".repeat(64)}`]) {
    const none = await stage.ask("images", name);
    expect([none.status, JSON.stringify(none.outcome)]).toEqual([404, expect.stringMatching(/is not in the cache/)]);
  }
  expect(await stage.names()).toHaveLength(2);
});

test("a blob without an image is removed by the beginning of its digest", async () => {
  const digest = stage.registry.addBlob("team/app", layer(9));
  await stage.start();
  await (await fetch(new URL(`/v2/team/app/blobs/${digest}`, stage.endpoint.url))).arrayBuffer();
  await until("the blob in the store", () => stage.store.has(digest));
  expect((await stage.ask("images", digest.slice(7, 19))).outcome).toEqual({
    name: digest,
    blobs: 1,
    freedBytes: 20_000,
  });
  expect(stage.store.has(digest)).toBe(false);
});

test("a pinned image stays when room is needed, also after a restart, until it is unpinned", async () => {
  const { first, second, app } = await twoImages();
  expect((await stage.ask("pin", "app:1.0")).outcome).toMatchObject({ name: app, isPinned: true });
  expect((await stage.list()).images.map(({ isPinned }) => isPinned)).toEqual([false, true]);
  expect((await stage.list()).blobs.filter(({ isPinned }) => isPinned)).toHaveLength(4);
  await stage.restart({ maxBytes: 125_000 });
  expect(has([first.manifest, first.config, ...first.layers, second.layers[1]!])).toEqual([
    true,
    true,
    true,
    true,
    false,
  ]);
  await stage.store.prune(0);
  expect(has([first.manifest, first.config, ...first.layers])).toEqual([true, true, true, true]);
  expect((await stage.ask("unpin", "team/app:1.0")).outcome).toEqual({ name: app });
  await stage.store.prune(0);
  expect((await stage.list()).usedBytes).toBe(0);
});

test("what is pinned is not removed by accident, but by the registry's own deletion", async () => {
  const { first, app } = await twoImages();
  await stage.ask("pin", app);
  for (const name of [app, first.layers[1]!.slice(7, 30)]) {
    const { status, outcome } = await stage.ask("images", name);
    expect([status, JSON.stringify(outcome)]).toEqual([409, expect.stringMatching(/is pinned: unpin it first/)]);
  }
  const blob = new URL(`/-/cache/${first.layers[1]}`, stage.endpoint.url);
  expect((await fetch(blob, { method: "DELETE", headers: { "x-ndn-registry": "1" } })).status).toBe(409);
  expect(has(first.layers)).toEqual([true, true]);
});

test("a pin follows its tag, and what the tag meant before may go", async () => {
  const { first, app } = await twoImages();
  await stage.ask("pin", app);
  const moved = stage.registry.addImage("team/app", "1.0", [shared, layer(7)]);
  await stage.ask("add", "team/app:1.0");
  await until("the pin to follow", () => stage.store.pins.of(app)?.includes(moved.layers[1]!) === true, 10_000);
  await stage.store.prune(0);
  expect(has([moved.manifest, moved.config, ...moved.layers])).toEqual([true, true, true, true]);
  expect(has([first.manifest, first.layers[1]!])).toEqual([false, false]);
});

test("what a tag meant before is listed by its digest until it is evicted, and can be removed so", async () => {
  const { first, app, web } = await twoImages();
  stage.registry.addImage("team/app", "1.0", [shared, layer(7)]);
  await stage.ask("add", "team/app:1.0");
  const before = `${stage.host}/team/app@${first.manifest}`;
  expect((await stage.names()).toSorted()).toEqual([app, before, web].toSorted());
  expect((await stage.ask("images", `team/app@${first.manifest.slice(0, 19)}`)).outcome).toMatchObject({
    name: before,
    blobs: 3,
  });
  expect((await stage.names()).toSorted()).toEqual([app, web].toSorted());
});

test("what is not cached cannot be pinned, nor unpinned what is not, nor more pinned than there is room for", async () => {
  const { app } = await twoImages();
  for (const [what, name] of [
    ["pin", "other:1"],
    ["unpin", app],
  ] as const) {
    expect((await stage.ask(what, name)).status).toBe(404);
  }
  await stage.ask("pin", app);
  await stage.restart({ maxBytes: 135_000 });
  const full = await stage.ask("add", "library/web");
  expect(full.status).toBe(200);
  const { status, outcome } = await stage.ask("pin", "library/web");
  expect([status, JSON.stringify(outcome)]).toEqual([
    409,
    expect.stringMatching(/not pinned: pinned images would need/),
  ]);
});

test("strangers are refused, as everywhere below /-/cache", async () => {
  const { app } = await twoImages();
  for (const what of ["add", "pin", "unpin"]) {
    const url = new URL(`/-/cache/${what}?image=${app}`, stage.endpoint.url);
    expect((await fetch(url, { method: "POST" })).status).toBe(403);
    const headers = { "x-ndn-registry": "1", origin: "https://evil.example" };
    expect((await fetch(url, { method: "POST", headers })).status).toBe(403);
    expect((await fetch(url, { method: "POST", headers: { "x-ndn-registry": "1", via: "1.1 p" } })).status).toBe(403);
  }
  expect((await fetch(new URL(`/-/cache/images?image=${app}`, stage.endpoint.url), { method: "DELETE" })).status).toBe(
    403,
  );
  expect(stage.store.pins.names()).toEqual([]);
  expect(await stage.names()).toHaveLength(2);
});
