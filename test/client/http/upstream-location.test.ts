import { expect, test } from "vitest";
import { UpstreamLocation } from "#client/http/upstream-location.ts";

const here = "http://localhost:5000";

test.each([
  ["https://hub.example/v2/a/blobs/uploads/1?_state=x%3D", `${here}/v2/a/blobs/uploads/1?_state=x%3D`],
  ["http://hub.example/v2/a", `${here}/v2/a`],
  ["https://hub.example:443/v2/a", `${here}/v2/a`],
  ["//hub.example/v2/a", `${here}/v2/a`],
  ["https://cdn.example/v2/a", "https://cdn.example/v2/a"],
  ["https://hub.example:8443/v2/a", "https://hub.example:8443/v2/a"],
  ["https://hub.example/token", "https://hub.example/token"],
  ["https://hub.example.evil/v2/a", "https://hub.example.evil/v2/a"],
  ["/v2/a", "/v2/a"],
  ["other", "other"],
])("%s becomes %s", (reference, expected) => {
  expect(new UpstreamLocation(new URL("https://hub.example")).rewrite(reference, here)).toBe(expected);
});

test("the base path of the upstream is not seen here", () => {
  const location = new UpstreamLocation(new URL("https://hub.example/base/"));
  expect(location.pathOf("/v2/a?b")).toBe("/base/v2/a?b");
  expect(location.rewrite("https://hub.example/base/v2/a", here)).toBe(`${here}/v2/a`);
  expect(location.rewrite("/base/v2/a", here)).toBe("/v2/a");
  expect(location.rewrite("https://hub.example/v2/a", here)).toBe("https://hub.example/v2/a");
});

test("targets in a Link are rewritten, parameters stay", () => {
  const location = new UpstreamLocation(new URL("https://hub.example"));
  const link = '<https://hub.example/v2/_catalog?n=1&last=a>; rel="next", </v2/x>; rel="prev"';
  expect(location.rewriteLink(link, here)).toBe(`<${here}/v2/_catalog?n=1&last=a>; rel="next", </v2/x>; rel="prev"`);
});

test.each([
  ["/v2/a/tags/list?n=1", "/v2/a/tags/list?n=1&ns=x.io"],
  ["/v2/a", "/v2/a?ns=x.io"],
  ["https://hub.example/v2/a#b", `${here}/v2/a?ns=x.io#b`],
  ["?last=b", "?last=b&ns=x.io"],
  ["https://cdn.example/v2/a", "https://cdn.example/v2/a"],
  ["/elsewhere", "/elsewhere"],
  ["data:,x", "data:,x"],
])("with ns, %s becomes %s", (reference, expected) => {
  const location = new UpstreamLocation(new URL("https://hub.example"));
  expect(location.rewrite(reference, here, { prefix: "", ns: "ns=x.io" })).toBe(expected);
});

test.each([
  ["https://hub.example/v2/a/b?c", `${here}/v2/x.io/a/b?c`],
  ["/v2/_catalog?last=a", "/v2/x.io/_catalog?last=a"],
  ["/v2/", "/v2/x.io/"],
  ["?last=b", "?last=b"],
  ["https://cdn.example/v2/a", "https://cdn.example/v2/a"],
])("with the registry in the path, %s becomes %s", (reference, expected) => {
  const location = new UpstreamLocation(new URL("https://hub.example"));
  expect(location.rewrite(reference, here, { prefix: "x.io", ns: "" })).toBe(expected);
});
