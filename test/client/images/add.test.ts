import { expect, test } from "vitest";
import { patternBlob } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { useImageStage } from "./stage.ts";

const repository = "team/app";
const indexType = "application/vnd.oci.image.index.v1+json";
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const stage = useImageStage();
const layers = () => [patternBlob(300_000, 1), patternBlob(50_000, 2)];

/** An index of images for these platforms, each with a layer of its own; undefined for an entry without a platform. */
function addIndex(tag: string, platforms: readonly (string | undefined)[]) {
  const images = platforms.map((_, nth) => {
    const image = stage.registry.addImage(repository, `child-${nth}`, [patternBlob(10_000 + nth, 10 + nth)]);
    stage.registry.open(repository).tags.delete(`child-${nth}`);
    return image;
  });
  const manifests = images.map(({ manifest: digest }, nth) => {
    const [os, architecture, variant] = platforms[nth]?.split("/") ?? [];
    const size = stage.registry.open(repository).manifests.get(digest)!.bytes.length;
    return { mediaType: manifestType, digest, size, ...(os && { platform: { os, architecture, variant } }) };
  });
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests }));
  const digest = stage.registry.addManifest(repository, tag, { mediaType: indexType, bytes });
  return { digest, images };
}

test("an image is fetched ahead with progress, and its pullers find it in the cache, also while the registry is down", async () => {
  const image = stage.registry.addImage(repository, "1.0", layers());
  await stage.start();
  const { status, lines, outcome } = await stage.ask("add", `${repository}:1.0`);
  const blobs = [image.config, ...image.layers];
  expect(status).toBe(200);
  expect(JSON.parse(lines[0]!)).toMatchObject({ name: `${stage.host}/${repository}:1.0`, doneBytes: 0, totalBlobs: 3 });
  expect(outcome).toMatchObject({ name: `${stage.host}/${repository}:1.0`, digest: image.manifest, blobs: 3 });
  expect(outcome.fetchedBytes).toEqual({ upstream: outcome.sizeBytes });
  for (const digest of [image.manifest, ...blobs]) expect(stage.store.has(digest as never)).toBe(true);

  const before = stage.registry.bytesSent;
  expect(await stage.pull(repository, "1.0", blobs)).toBe(200);
  expect(stage.registry.bytesSent).toBe(before);
  await stage.registry.close();
  expect(await stage.pull(repository, "1.0", blobs)).toBe(200);
});

test("what is cached is not fetched again, and costs no GET of the manifest", async () => {
  stage.registry.addImage(repository, "1.0", layers());
  await stage.start();
  await stage.ask("add", `${repository}:1.0`);
  const gets = () => stage.registry.requests.filter(({ method }) => method === "GET").length;
  const before = gets();
  expect((await stage.ask("add", `${repository}:1.0`)).outcome).toMatchObject({ blobs: 3, fetchedBytes: {} });
  expect(gets()).toBe(before);
  const moved = stage.registry.addImage(repository, "1.0", [layers()[0]!, patternBlob(7_000, 3)]);
  const { outcome } = await stage.ask("add", `${repository}:1.0`);
  expect([outcome.digest, outcome.blobs]).toEqual([moved.manifest, 3]);
});

test.each([
  ["as pulled from this endpoint", () => `127.0.0.1:5000/${repository}:1.0`],
  ["as localhost", () => `localhost:5000/${repository}:1.0`],
  ["with the registry in front", () => `${stage.host}/${repository}:1.0`],
  ["with the registry as a path", () => `${stage.host.replace(":", "_")}/${repository}:1.0`],
  ["with its digest", () => `${repository}@${stage.registry.open(repository).tags.get("1.0")}`],
])("an image is named %s", async (_how, name) => {
  stage.registry.addImage(repository, "1.0", layers());
  await stage.start();
  const { status, outcome } = await stage.ask("add", name());
  expect([status, outcome.blobs]).toEqual([200, 3]);
});

test("of an index this machine's platform is fetched, others when they are asked for", async () => {
  const own = `linux/${process.arch === "x64" ? "amd64" : process.arch}`;
  const { digest, images } = addIndex("multi", [own, "linux/s390x", "linux/arm/v6", "linux/arm/v7", undefined]);
  const isThere = () => images.map(({ layers: [layer] }) => stage.store.has(layer as never));
  await stage.start();
  expect((await stage.ask("add", `${repository}:multi`)).outcome).toMatchObject({ digest, blobs: 2 });
  expect(isThere()).toEqual([true, false, false, false, false]);
  await stage.ask("add", `${repository}:multi`, ["linux/arm"]);
  expect(isThere()).toEqual([true, false, true, true, false]);
  await stage.ask("add", `${repository}:multi`, ["all"]);
  expect(isThere()).toEqual([true, true, true, true, true]);
  expect(await stage.names()).toEqual([`${stage.host}/${repository}:multi`]);

  addIndex("foreign", ["windows/amd64", "linux/riscv64"]);
  const refused = await stage.ask("add", `${repository}:foreign`);
  expect(refused.status).toBe(404);
  expect(JSON.stringify(refused.outcome)).toMatch(/not there for linux\/\w+, but for windows\/amd64, linux\/riscv64/);
});

test.each([
  ["none at all", "", 400, /takes the name/],
  ["no name", "Team/APP:1", 400, /is not the name of an image/],
  ["a path", "team/../passwd", 400, /is not the name of an image/],
  ["a tag that is none", `${repository}:a b`, 400, /is not the name of an image/],
  ["another registry's", "ghcr.example/team/app:1", 404, /this endpoint serves .*, not ghcr\.example/],
  ["one that is not there", `${repository}:2.0`, 404, /the registry has no team\/app:2\.0/],
])("%s is refused with a status and a reason", async (_what, image, status, reason) => {
  stage.registry.addImage(repository, "1.0", layers());
  await stage.start();
  const answer = await stage.ask("add", image);
  expect(answer.status).toBe(status);
  expect(JSON.stringify(answer.outcome)).toMatch(reason);
});

test("a registry that is down is said so", async () => {
  await stage.start();
  await stage.registry.close();
  const { status, outcome } = await stage.ask("add", `${repository}:1.0`);
  expect([status, JSON.stringify(outcome)]).toEqual([503, expect.stringMatching(/UNAVAILABLE/)]);
});

test("an image that is larger than the cache is refused before anything is fetched", async () => {
  const image = stage.registry.addImage(repository, "1.0", layers());
  await stage.start({ maxBytes: 200_000 });
  const { status, outcome } = await stage.ask("add", `${repository}:1.0`);
  expect([status, JSON.stringify(outcome)]).toEqual([409, expect.stringMatching(/does not fit/)]);
  expect(stage.registry.blobGets(image.layers[0]!)).toEqual([]);
});

test("a blob that cannot be had ends it with the reason in the last line", async () => {
  const image = stage.registry.addImage(repository, "1.0", layers());
  stage.registry.open(repository).blobs.delete(image.layers[1]!);
  await stage.start();
  const { status, outcome } = await stage.ask("add", `${repository}:1.0`);
  expect([status, JSON.stringify(outcome)]).toEqual([200, expect.stringMatching(/the registry refuses sha256:/)]);
});

test("no more than four images are added at a time, and one whose caller has gone counts no longer", async () => {
  const image = stage.registry.addImage(repository, "1.0", [patternBlob(5_000_000, 5)]);
  stage.registry.faults.set(image.layers[0]!, { kind: "stall-after", bytes: 100_000 });
  stage.registry.addImage(repository, "2.0", layers());
  await stage.start();
  const gone = new AbortController();
  const url = new URL(`/-/cache/add?image=${repository}:1.0`, stage.endpoint.url);
  const headers = { "x-ndn-registry": "1" };
  const begin = () => fetch(url, { method: "POST", headers, signal: gone.signal });
  const begun = await Promise.all([begin(), begin(), begin(), begin()]);
  expect(begun.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  const fifth = await stage.ask("add", `${repository}:2.0`);
  expect([fifth.status, JSON.stringify(fifth.outcome)]).toEqual([
    429,
    expect.stringMatching(/4 images are being added/),
  ]);
  gone.abort();
  await until("a place", async () => (await stage.ask("add", `${repository}:2.0`)).status === 200);
});
