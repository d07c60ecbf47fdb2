import { expect, test } from "vitest";
import { UpstreamLocation } from "#client/http/upstream-location.ts";
import { createRouter, plain, type Refused, type Route } from "#client/registries/router.ts";

const registries = new Set(["docker.io", "ghcr.io", "localhost:5001"]);
const route = createRouter({ default: "docker.io", registries });

function routed(rawUrl: string): Route {
  const result = route(rawUrl);
  expect(result).not.toHaveProperty("refused");
  return result as Route;
}

test.each([
  ["/v2/", "docker.io", "/v2/"],
  ["/v2", "docker.io", "/v2"],
  ["/v2/library/alpine/manifests/latest", "docker.io", "/v2/library/alpine/manifests/latest"],
  ["/v2/a%2Fb//tags/list?last=%20&n=1", "docker.io", "/v2/a%2Fb//tags/list?last=%20&n=1"],
  ["/v2/_catalog?", "docker.io", "/v2/_catalog?"],
  ["/v2/quay.io/a/tags/list", "docker.io", "/v2/quay.io/a/tags/list"],
  ["/v2/ghcr%2Eio/a/tags/list", "docker.io", "/v2/ghcr%2Eio/a/tags/list"],
  ["/v2/GHCR.IO/a/tags/list", "docker.io", "/v2/GHCR.IO/a/tags/list"],
])("%s is plain, and goes on as it is", (rawUrl, registry, forwarded) => {
  expect(routed(rawUrl)).toEqual({ registry, rawUrl: forwarded, askedAs: plain });
});

test.each([
  ["/v2/ghcr.io/a/b/manifests/latest", "ghcr.io", "/v2/a/b/manifests/latest"],
  ["/v2/docker.io/library/alpine/tags/list?n=1", "docker.io", "/v2/library/alpine/tags/list?n=1"],
  ["/v2/docker.io/alpine/tags/list", "docker.io", "/v2/alpine/tags/list"],
  ["/v2/ghcr.io/", "ghcr.io", "/v2/"],
  ["/v2/ghcr.io/_catalog?n=1", "ghcr.io", "/v2/_catalog?n=1"],
  ["/v2/ghcr.io//a%2Fb/tags/list?x=%20", "ghcr.io", "/v2//a%2Fb/tags/list?x=%20"],
  ["/v2/ghcr.io/docker.io/a/tags/list", "ghcr.io", "/v2/docker.io/a/tags/list"],
  ["/v2/localhost:5001/a/tags/list", "localhost:5001", "/v2/a/tags/list"],
])("%s names its registry in the path", (rawUrl, registry, forwarded) => {
  expect(routed(rawUrl)).toEqual({
    registry,
    rawUrl: forwarded,
    askedAs: { form: "path", prefix: registry, ns: "" },
  });
});

test("a registry with a port is named in the path with _ for the colon, which pullers do not take there", () => {
  expect(routed("/v2/localhost_5001/a/b/tags/list?n=1")).toEqual({
    registry: "localhost:5001",
    rawUrl: "/v2/a/b/tags/list?n=1",
    askedAs: { form: "path", prefix: "localhost_5001", ns: "" },
  });
  const mount = "/v2/localhost_5001/a/blobs/uploads/?mount=sha256:0&from=localhost_5001/b";
  expect(routed(mount).rawUrl).toBe("/v2/a/blobs/uploads/?mount=sha256:0&from=b");
  const other = "/v2/localhost_5001/a/blobs/uploads/?mount=sha256:0&from=ghcr.io/b";
  expect(routed(other).rawUrl).toBe("/v2/a/blobs/uploads/?mount=sha256:0&from=ghcr.io/b");
});

test.each([
  ["/v2/a/tags/list?ns=ghcr.io", "ghcr.io", "/v2/a/tags/list", "ns=ghcr.io"],
  ["/v2/a/tags/list?n=1&ns=ghcr.io&last=%20", "ghcr.io", "/v2/a/tags/list?n=1&last=%20", "ns=ghcr.io"],
  ["/v2/a/tags/list?ns=registry-1.docker.io", "docker.io", "/v2/a/tags/list", "ns=registry-1.docker.io"],
  ["/v2/a/tags/list?ns=ghcr.io&ns=GHCR.io%3A443", "ghcr.io", "/v2/a/tags/list", "ns=ghcr.io"],
  ["/v2/a/tags/list?n%73=localhost%3a5001", "localhost:5001", "/v2/a/tags/list", "n%73=localhost%3a5001"],
  ["/v2/docker.io/a/tags/list?ns=ghcr.io", "ghcr.io", "/v2/docker.io/a/tags/list", "ns=ghcr.io"],
])("%s names its registry in ns, which is not passed on", (rawUrl, registry, forwarded, ns) => {
  expect(routed(rawUrl)).toEqual({ registry, rawUrl: forwarded, askedAs: { form: "ns", prefix: "", ns } });
});

test.each([
  "/v2/a/tags/list?ns=evil.example",
  "/v2/a/tags/list?ns=",
  "/v2/a/tags/list?ns",
  "/v2/a/tags/list?ns=ghcr.io&ns=docker.io",
  "/v2/a/tags/list?ns=ghcr.io/../evil.example",
  "/v2/a/tags/list?ns=http://ghcr.io",
  "/v2/a/tags/list?n%73=169.254.169.254",
  "/v2/ghcr.io/../admin",
  "/v2/ghcr.io/%2e%2e/admin",
])("%s is refused", (rawUrl) => {
  expect((route(rawUrl) as Refused).refused).toMatch(/./);
});

test("a blob is mounted from the repository as the registry knows it", () => {
  const uploads = "/v2/ghcr.io/a/blobs/uploads/?mount=sha256:0&from=";
  expect(routed(`${uploads}ghcr.io%2Fb%2Fc`).rawUrl).toBe("/v2/a/blobs/uploads/?mount=sha256:0&from=b%2Fc");
  expect(routed(`${uploads}ghcr.io/b`).rawUrl).toBe("/v2/a/blobs/uploads/?mount=sha256:0&from=b");
  expect(routed(`${uploads}docker.io%2Fb`).rawUrl).toBe("/v2/a/blobs/uploads/?mount=sha256:0&from=docker.io%2Fb");
  expect(routed("/v2/a/tags/list?from=docker.io%2Fb").rawUrl).toBe("/v2/a/tags/list?from=docker.io%2Fb");
});

test.each([
  "/v2/ghcr.io/a/tags/list?n=1",
  "/v2/ghcr.io/_catalog?n=1",
  "/v2/ghcr.io/a/blobs/uploads/",
  "/v2/a/tags/list?ns=ghcr.io&n=1",
  "/v2/a/blobs/uploads/?ns=ghcr.io",
])("%s: what the answer links to comes back to the same registry in the same form", (rawUrl) => {
  const { rawUrl: forwarded, askedAs, registry } = routed(rawUrl);
  const location = new UpstreamLocation(new URL("https://upstream.example/base"));
  const next = `${forwarded.split("?")[0]}?last=x%2Fy&_state=a%3D`;
  const endpoint = "http://localhost:5000";
  for (const target of [`https://upstream.example/base${next}`, `/base${next}`]) {
    const back = location.rewrite(target, endpoint, askedAs).replace(endpoint, "");
    expect(routed(back)).toEqual({
      registry,
      rawUrl: next,
      askedAs: { ...askedAs, ns: askedAs.ns && "ns=ghcr.io" },
    });
    expect(location.rewriteLink(`<${target}>; rel="next"`, endpoint, askedAs)).toContain(`${back}>; rel="next"`);
  }
});
