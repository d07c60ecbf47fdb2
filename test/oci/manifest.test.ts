import fc from "fast-check";
import { expect, test } from "vitest";
import { layersOf } from "#oci/manifest.ts";

const oci = "application/vnd.oci.image.manifest.v1+json";
const docker = "application/vnd.docker.distribution.manifest.v2+json";
const digest = (n: number) => `sha256:${String(n).repeat(64)}`;
const bytesOf = (value: unknown) => Buffer.from(JSON.stringify(value));
const descriptor = (n: number, more: object = {}) => ({ mediaType: "a/b", digest: digest(n), size: n, ...more });

test.each([oci, docker, `${oci}; charset=utf-8`])("an image of type %s has a configuration and layers", (type) => {
  const image = { config: descriptor(1), layers: [descriptor(2), descriptor(3)] };
  expect(layersOf(type, bytesOf(image))).toEqual([
    { kind: "config", mediaType: "a/b", digest: digest(1), sizeBytes: 1 },
    { kind: "layer", mediaType: "a/b", digest: digest(2), sizeBytes: 2 },
    { kind: "layer", mediaType: "a/b", digest: digest(3), sizeBytes: 3 },
  ]);
});

test.each(["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"])(
  "an index of type %s has children",
  (type) => {
    expect(layersOf(type, bytesOf({ manifests: [descriptor(1)] }))).toEqual([
      { kind: "manifest", mediaType: "a/b", digest: digest(1), sizeBytes: 1 },
    ]);
  },
);

test("children of an index have their platform, where it can be read", () => {
  const child = (n: number, platform: unknown) => descriptor(n, { platform });
  const children = [
    child(1, { os: "linux", architecture: "amd64" }),
    child(2, { os: "linux", architecture: "arm", variant: "v7", "os.features": ["x"] }),
    child(3, { os: 1 }),
    descriptor(4),
  ];
  const index = layersOf("application/vnd.oci.image.index.v1+json", bytesOf({ manifests: children }));
  expect(index.map(({ platform }) => platform)).toEqual(["linux/amd64", "linux/arm/v7", undefined, undefined]);
});

test("layers that lie elsewhere, repeats and other algorithms are left out", () => {
  const layers = [
    descriptor(2, { urls: ["https://elsewhere.example/layer"] }),
    descriptor(3, { urls: [] }),
    descriptor(3),
    descriptor(4, { digest: `sha512:${"0".repeat(128)}` }),
  ];
  expect(layersOf(oci, bytesOf({ config: descriptor(1), layers })).map((one) => one.digest)).toEqual([
    digest(1),
    digest(3),
  ]);
});

test("what is no manifest refers to nothing", () => {
  const image = { config: descriptor(1), layers: [descriptor(2)] };
  expect(layersOf("application/json", bytesOf(image))).toEqual([]);
  for (const value of [null, [], {}, { ...image, layers: {} }, { ...image, config: descriptor(1, { size: -1 }) }])
    expect(layersOf(oci, bytesOf(value))).toEqual([]);
  fc.assert(fc.property(fc.uint8Array(), (bytes) => layersOf(oci, bytes).length === 0));
  fc.assert(fc.property(fc.jsonValue(), (value) => Array.isArray(layersOf(oci, bytesOf(value)))));
});
