import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalRegistry, isRepository, isTag, parseBlobPath, parseManifestPath } from "#oci/reference.ts";

const digest = `sha256:${"a1".repeat(32)}`;
const component = fc.stringMatching(/^[a-z0-9]{1,8}([._]|__|--?)[a-z0-9]{1,8}$/);
const repository = fc.array(component, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));

test.each(["alpine", "library/alpine", "a/b/c/d", "a.b_c__d---e/0", "x".repeat(255)])("%s is a repository", (name) => {
  expect(isRepository(name)).toBe(true);
});

test.each(["", "/a", "a/", "a//b", "A", "a..b", "a___b", "-a", "a-", "a/../b", "a%2fb", "a b", "a\n", "x".repeat(256)])(
  "%j is no repository",
  (name) => {
    expect(isRepository(name)).toBe(false);
  },
);

test("a blob path gives repository and digest back", () => {
  fc.assert(
    fc.property(repository, (name) => {
      expect(parseBlobPath(`/v2/${name}/blobs/${digest}`)).toEqual({ repository: name, digest });
    }),
  );
});

test("a repository may be called as the path's own words are", () => {
  expect(parseBlobPath(`/v2/blobs/blobs/blobs/${digest}`)).toEqual({ repository: "blobs/blobs", digest });
  expect(parseBlobPath(`/v2/v2/manifests/blobs/${digest}`)).toEqual({ repository: "v2/manifests", digest });
});

test("digests of other algorithms are blobs too", () => {
  expect(parseBlobPath("/v2/a/blobs/sha512:00ff")?.digest).toBe("sha512:00ff");
  expect(parseBlobPath("/v2/a/blobs/multihash+base58:QmRZxt2b1FVZ")?.digest).toBe("multihash+base58:QmRZxt2b1FVZ");
});

test.each([
  "/v2/",
  `/v2/blobs/${digest}`,
  "/v2/a/blobs/uploads/",
  "/v2/a/blobs/uploads/9b2c",
  "/v2/a/manifests/latest",
  `/v2//a/blobs/${digest}`,
  `/v2/a//blobs/${digest}`,
  `/v2/a/blobs//${digest}`,
  `/v2/a/blobs/${digest}/`,
  `/v2/a/../b/blobs/${digest}`,
  `/v2/./a/blobs/${digest}`,
  `/v2/a%2Fb/blobs/${digest}`,
  `/v2/a/blobs/${digest.replace(":", "%3A")}`,
  `/v2/a/blobs/${digest}?ns=docker.io`,
  `/V2/a/blobs/${digest}`,
  `/v2/A/blobs/${digest}`,
  `v2/a/blobs/${digest}`,
])("%s is no blob path", (path) => {
  expect(parseBlobPath(path)).toBeUndefined();
});

test("no path makes the parser throw, and what it finds obeys the grammar", () => {
  const piece = fc.oneof(fc.constantFrom("/v2/", "/blobs/", "/", "..", "%2f", digest), fc.string());
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const found = parseBlobPath(pieces.join(""));
      expect(found === undefined || isRepository(found.repository)).toBe(true);
    }),
  );
});

test.each(["latest", "3.20", "_", "v1.0-rc.1_x", "A", "x".repeat(128)])("%s is a tag", (tag) => {
  expect(isTag(tag)).toBe(true);
});

test.each(["", ".", "..", "-a", ".a", "a:b", "a/b", "a b", "a%20", "a\n", "x".repeat(129), digest])(
  "%j is no tag",
  (text) => {
    expect(isTag(text)).toBe(false);
  },
);

test("a manifest path gives repository and reference back", () => {
  fc.assert(
    fc.property(repository, fc.constantFrom("latest", "v1.0", digest, "sha512:00ff"), (name, reference) => {
      expect(parseManifestPath(`/v2/${name}/manifests/${reference}`)).toEqual({ repository: name, reference });
    }),
  );
});

test("a path means a blob or a manifest, never both", () => {
  const path = `/v2/manifests/blobs/manifests/${digest}`;
  expect(parseManifestPath(path)).toEqual({ repository: "manifests/blobs", reference: digest });
  expect(parseBlobPath(path)).toBeUndefined();
  expect(parseManifestPath(`/v2/a/manifests/blobs/${digest}`)).toBeUndefined();
});

test.each([
  "/v2/",
  "/v2/manifests/latest",
  "/v2/a/manifests/",
  "/v2/a/manifests/..",
  "/v2/a/tags/list",
  `/v2/a/blobs/${digest}`,
  "/v2//a/manifests/latest",
  "/v2/a//manifests/latest",
  "/v2/a/manifests//latest",
  "/v2/a/manifests/latest/",
  "/v2/a/../b/manifests/latest",
  "/v2/a%2Fb/manifests/latest",
  "/v2/a/manifests/lat%65st",
  `/v2/a/manifests/${digest.replace(":", "%3A")}`,
  "/v2/a/manifests/latest?ns=docker.io",
  "/V2/a/manifests/latest",
  "/v2/A/manifests/latest",
  "v2/a/manifests/latest",
])("%s is no manifest path", (path) => {
  expect(parseManifestPath(path)).toBeUndefined();
});

test("Docker Hub has three names", () => {
  for (const host of ["docker.io", "index.docker.io", "registry-1.docker.io", "Registry-1.Docker.io:443"])
    expect(canonicalRegistry(host)).toBe("docker.io");
});

test("a registry is told by host and port, default ports apart", () => {
  expect(canonicalRegistry("Registry.Example:443")).toBe("registry.example");
  expect(canonicalRegistry("registry.example:80")).toBe("registry.example");
  expect(canonicalRegistry("registry.example:5443")).toBe("registry.example:5443");
});
