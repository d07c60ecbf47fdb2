import { afterEach, beforeEach, expect, test } from "vitest";
import type { PointerTarget } from "#blob/pointer-names.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import { TT } from "#ndn/packet/tlv.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { makeIdentity, type TestIdentity } from "../identity.ts";
import { verifierOf } from "../lists.ts";
import { prefix, type Reader, type Serving, serve } from "../serving.ts";
import { askPointer, getPointer, pointerIn, readPointed, repository } from "./asking.ts";

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const latest: PointerTarget = { kind: "tag", repository, tag: "latest" };
let registry: TestRegistry;
let identity: TestIdentity;
let serving: Serving;
let reader: Reader;

beforeEach(async () => {
  registry = await startRegistry();
  identity = await makeIdentity(prefix);
  serving = await serve(registry, { identity });
  reader = serving.reader();
});
afterEach(async () => {
  await serving[Symbol.asyncDispose]();
  await registry.close();
});

/** Requests for manifests that the registry has seen, as `HEAD latest`. */
function asked(): string[] {
  return registry.requests.flatMap(({ method, url }) => {
    const reference = /\/manifests\/(.+)$/.exec(url)?.[1];
    return reference ? [`${method} ${reference}`] : [];
  });
}

/** Add a manifest of so many bytes. */
function addManifest(sizeBytes: number, tag?: string, mediaType = manifestType) {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, padding: "" }).padEnd(sizeBytes, " "));
  return { bytes, digest: registry.addManifest(repository, tag, { mediaType, bytes }) };
}

test("a tag is a signed pointer to its manifest, which is inside if it is small", async () => {
  const { manifest } = registry.addImage(repository, "latest", [patternBlob(10)]);
  const data = await getPointer(reader, latest);
  await (await verifierOf(identity)).verify(data);
  expect([data.contentType, data.freshnessPeriod]).toEqual([contentTypes.Blob, 2_000]);
  expect([data.name.at(-2).type, data.name.at(-1).type]).toEqual([TT.VersionNameComponent, TT.SegmentNameComponent]);
  const { digest, mediaType, maxAgeMs, asOfMs, hint, inline } = pointerIn(data);
  expect([digest, mediaType, maxAgeMs, hint]).toEqual([manifest, manifestType, 600_000, undefined]);
  expect(Math.abs(Date.now() - asOfMs)).toBeLessThan(60_000);
  expect(inline?.equals(registry.open(repository).manifests.get(manifest)!.bytes)).toBe(true);
  expect(asked()).toEqual(["HEAD latest", `GET ${manifest}`]);
});

test.each([8_193, 20_000, 300_000])("a manifest of %i bytes is fetched in segments", async (sizeBytes) => {
  const { bytes, digest } = addManifest(sizeBytes, "latest");
  const data = await getPointer(reader, latest);
  const pointer = pointerIn(data);
  expect([pointer.digest, pointer.sizeBytes, pointer.inline]).toEqual([digest, sizeBytes, undefined]);
  expect((await readPointed(reader, pointer)).equals(bytes)).toBe(true);
  expect(asked()).toEqual(["HEAD latest", `GET ${digest}`]);
});

test("many who ask for one tag cost one HEAD in two seconds, and the manifest is read once", async () => {
  addManifest(500, "latest");
  const readers = Array.from({ length: 20 }, () => serving.reader());
  await Promise.all(readers.map((one) => askPointer(one, latest)));
  await Promise.all(readers.map((one) => askPointer(one, latest, { isUnique: true })));
  expect(asked().map((line) => line.split(" ")[0])).toEqual(["HEAD", "GET"]);
});

test("a tag that has moved is seen after two seconds, and the old manifest is not read again", async () => {
  const before = addManifest(500, "latest").digest;
  const first = (await askPointer(reader, latest, { isUnique: true }))!;
  expect(first.digest).toBe(before);
  const after = addManifest(600, "latest").digest;
  let moved = first;
  await until("the tag to move", async () => {
    moved = (await askPointer(reader, latest, { isUnique: true }))!;
    return moved.digest === after;
  });
  expect(moved.asOfMs).toBeGreaterThan(first.asOfMs);
  expect(asked().filter((line) => line === `GET ${before}`)).toHaveLength(1);
});

test("a unique question is answered for itself, with what the registry said just before", async () => {
  addManifest(500, "latest");
  const common = pointerIn(await getPointer(reader, latest));
  const data = await getPointer(reader, latest, { isUnique: true });
  await (await verifierOf(identity)).verify(data);
  expect(data.freshnessPeriod).toBe(1_000);
  expect(data.name.at(-3).type).toBe(TT.ParametersSha256DigestComponent);
  expect(pointerIn(data)).toEqual(common);
});

test("that there is no such tag is signed, and fresh for a second", async () => {
  registry.open(repository);
  const data = await getPointer(reader, latest);
  await (await verifierOf(identity)).verify(data);
  expect([data.contentType, data.freshnessPeriod, data.content.length]).toEqual([contentTypes.Nack, 1_000, 0]);
});

test("a tag that was not there is there a second after it was pushed", async () => {
  registry.open(repository);
  expect(await askPointer(reader, latest)).toBeUndefined();
  addManifest(500, "latest");
  await until("the tag", async () => (await askPointer(reader, latest, { isUnique: true })) !== undefined);
});

test.each(["v1.sig", "sha256-00.att", "sha256-00.sbom", `sha256-${"0".repeat(64)}`, "a".repeat(128), "_x"])(
  "the tag %s is an ordinary one",
  async (tag) => {
    const { digest } = addManifest(500, tag, "application/vnd.oci.image.index.v1+json");
    const pointer = await askPointer(reader, { kind: "tag", repository, tag });
    expect([pointer?.digest, pointer?.mediaType]).toEqual([digest, "application/vnd.oci.image.index.v1+json"]);
  },
);

test("a manifest by its digest is a pointer too, and says size and media type", async () => {
  const { bytes, digest } = addManifest(700);
  const pointer = await askPointer(reader, { kind: "manifest", repository, digest });
  expect(pointer).toMatchObject({ digest, sizeBytes: 700, mediaType: manifestType, inline: bytes });
  const other = { kind: "manifest", repository: "team/other", digest } as const;
  registry.open("team/other");
  expect(await askPointer(reader, other)).toBeUndefined();
});
