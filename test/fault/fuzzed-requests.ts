/** HTTP requests of which some are valid, most are strange, and some are no HTTP at all. */
import { below, oneOf } from "#test/support/seeded-random.ts";

type Random = () => number;

const methods = ["GET", "GET", "GET", "GET", "GET", "HEAD", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const strangeMethods = ["CONNECT", "TRACE", "get", "G\0T", "PROPFIND", "", "GET GET", "A".repeat(300)];
const strangeVersions = ["HTTP/1.0", "HTTP/1.0", "HTTP/2.0", "HTTP/9", "", "ICY"];

/** A request's bytes; `digest` is a blob that exists in `repository`. */
export function fuzzedRequest(random: Random, repository: string, digest: string): Buffer {
  const method = oneOf(random, random() < 0.9 ? methods : strangeMethods);
  const version = random() < 0.9 ? "HTTP/1.1" : oneOf(random, strangeVersions);
  const lineEnd = random() < 0.97 ? "\r\n" : oneOf(random, ["\n", "\r", "\r\r\n"]);
  const body = random() < 0.3 ? "x".repeat(below(random, 2_000)) : "";
  const lines = [
    `${method} ${path(random, repository, digest)} ${version}`,
    ...headers(random, digest, body),
    "",
    body,
  ];
  const request = Buffer.from(lines.join(lineEnd), "latin1");
  return random() < 0.2 ? damaged(request, random) : request;
}

function path(random: Random, repository: string, digest: string): string {
  const name = oneOf(random, [
    repository,
    repository,
    "library/alpine",
    "..",
    "a/../b",
    "A/B",
    "%2e%2e/x",
    "é",
    "a//b",
  ]);
  const reference = oneOf(random, [
    digest,
    digest,
    digest.toUpperCase(),
    "sha256:",
    "sha512:00",
    "latest",
    "%00",
    "a:b",
  ]);
  const good = [
    ...[`/v2/${name}/blobs/${reference}`, `/v2/${name}/blobs/${reference}`, `/v2/${name}/manifests/${reference}`],
    ...[`/v2/${name}/tags/list`, `/v2/${name}/blobs/uploads/`, `/v2/${name}/referrers/${reference}`],
    ...["/v2/", "/v2", "/", "/healthz", "/readyz", "/metrics", "/v2/_catalog", "*", "http://other/v2/"],
  ];
  const query = oneOf(random, ["", "", "", "?ns=docker.io", "?ns=%ff", "?n=-1&last=%00", `?${"q=1&".repeat(200)}`]);
  const chosen = `${oneOf(random, good)}${query}`;
  if (random() < 0.9) return chosen;
  return oneOf(random, [`${chosen}${"/a".repeat(below(random, 4_000))}`, `${chosen}%`, `//${chosen}`, chosen.slice(1)]);
}

function headers(random: Random, digest: string, body: string): string[] {
  const ranges = [
    "0-",
    "0-0",
    "5-3",
    "-5",
    "-0",
    "0-1,5-9",
    "99999999999999999999-",
    "a-b",
    "1-2-3",
    "0-9223372036854775807",
  ];
  const all = [
    ...[`Range: bytes=${oneOf(random, ranges)}`, `Range: ${oneOf(random, ranges)}`, `If-None-Match: "${digest}"`],
    ...[`If-Range: "${digest}"`, "If-Modified-Since: yesterday", "Authorization: Bearer x", "Authorization: Basic %%%"],
    ...["Expect: 100-continue", "Expect: 500-tea", "Connection: Upgrade", "Upgrade: h2c", "Connection: close"],
    ...["Accept: */*", "Accept-Encoding: gzip", "Trailer: x", "X-Forwarded-For: 127.0.0.1", "Cookie: a=b", "Te: x"],
  ];
  const broken = [
    ...[
      `X-Long: ${"y".repeat(below(random, 20_000))}`,
      "No colon",
      ": no name",
      " folded: line",
      "X-\0: 1",
      "X: \xff\xfe",
    ],
    ...["Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Content-Length: -1", "Content-Length: 1e3"],
    ...[`Content-Length: ${body.length + 5}`, "Content-Length: 99999999999999999999", "Host: a b"],
  ];
  const host = random() < 0.95 ? ["Host: localhost"] : [];
  const length = body === "" ? [] : [`Content-Length: ${body.length}`];
  const choose = () => oneOf(random, random() < 0.9 ? all : broken);
  return [...host, ...length, ...Array.from({ length: below(random, 4) }, choose)];
}

/** Bytes changed, taken out or put in anywhere. */
function damaged(request: Buffer, random: Random): Buffer {
  const copy = Buffer.from(request);
  for (let i = below(random, 5); i >= 0; i--) copy[below(random, copy.length)] = below(random, 256);
  const at = below(random, copy.length);
  return random() < 0.5 ? copy : Buffer.concat([copy.subarray(0, at), copy.subarray(at + below(random, 20))]);
}
