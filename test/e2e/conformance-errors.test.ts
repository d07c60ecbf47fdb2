/** What a registry refuses, it refuses through the endpoint in the same way. */
import { test } from "vitest";
import { digestOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { pushImages } from "./conformance/images.ts";
import { useSideBySide } from "./conformance/side-by-side.ts";

const unknown = digestOf(Buffer.from("unknown"));
const names = [
  ...["Upper", "a/Upper/b", "-a", "a-", "a..b", "a__b", "a___b", "a/", "/a", "a//b", "a/./b", "a/../b", "%61"],
  ...["a%2fb", "a%20b", "a%00", "a:b", "a@b", "_catalog", "blobs", "manifests", "tags"],
  ...["a".repeat(255), "a".repeat(256), `${"a/".repeat(127)}aa`, "x/blobs/uploads", "x/manifests/y"],
];
const digests = [
  ...[
    "sha256",
    "sha256:",
    "sha256:short",
    `sha256:${"g".repeat(64)}`,
    `sha256:${"A".repeat(64)}`,
    `md5:${"0".repeat(32)}`,
  ],
  ...[`sha256:${"0".repeat(65)}`, `sha1:${"0".repeat(40)}`, `sha384:${"0".repeat(96)}`, `sha512:${"0".repeat(128)}`],
  ...[`a+b.c:${"0".repeat(64)}`, `sha256%3A${"0".repeat(64)}`, `SHA256:${"0".repeat(64)}`, "tag", ".."],
];
const paths = [
  ...[
    "/v2",
    "/v2/",
    "/v2//",
    "/v2/?",
    "/v2/?n=1",
    "/v2/x",
    "/v2/x/",
    "/v2/_x",
    "/v2/x/y",
    "/v2/x/blobs",
    "/v2/x/blobs/",
  ],
  ...["/v2/x/manifests", "/v2/x/manifests/", "/v2/x/tags", "/v2/x/tags/", "/v2/x/tags/list/", "/v2/x/blobs/uploads"],
  ...["/v2/_catalog/", "/v2/_catalog/x", "/v2/x/_trust/tuf", "/v2/x/../y/tags/list", "/v2/./x/tags/list"],
  ...["/v2/x/tags/list?%zz", "/v2/x/tags/list?a=b;c=d", "/v2/x/tags/list#fragment", "/v2/blobs/uploads/"],
];
const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE"];

describeWith(["docker-registry"], "refusals", () => {
  const sides = useSideBySide([]);

  test.each(names)("of the name %s", async (name) => {
    await sides.compare(async (party) => {
      for (const method of ["GET", "HEAD"]) {
        await party.ask(`/v2/${name}/blobs/${unknown}`, { method });
        await party.ask(`/v2/${name}/manifests/tag`, { method });
      }
      await party.ask(`/v2/${name}/tags/list`);
    });
  });

  test.each(digests)("of the digest %s", async (digest) => {
    await sides.compare(async (party) => {
      for (const method of ["GET", "HEAD", "DELETE"]) {
        await party.ask(party.path(`blobs/${digest}`), { method });
        await party.ask(party.path(`manifests/${digest}`), { method });
      }
      await party.ask(party.path(`blobs/${digest}`), { headers: { range: "bytes=0-9" } });
    });
  });

  test.each(paths)("of the path %s", async (path) => {
    await sides.compare(async (party) => {
      await party.ask(path);
      await party.ask(path, { method: "HEAD" });
      await party.ask(path, { method: "POST" });
    });
  });

  test.each(methods)("of the method %s", async (method) => {
    const push = (repository: string) => pushImages(sides.registry.url, repository);
    await sides.compare(async (party) => {
      for (const path of ["/v2/", "/v2/_catalog", party.path("tags/list"), party.path("blobs/uploads/")]) {
        await party.ask(path, { method });
      }
      for (const reference of [unknown, "image"]) {
        await party.ask(party.path(`blobs/${reference}`), { method });
        await party.ask(party.path(`manifests/${reference}`), { method });
      }
    }, push);
  });
});
