import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { RegistryUnreachable } from "#oci/errors.ts";
import { digestOfHash } from "#oci/reference.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { listReferrers, listRepositories, listTags } from "#oci/registry-lists.ts";
import { startUpstream } from "#test/client/upstream/raw-upstream.ts";

const { signal } = new AbortController();
const options = { auth: { kind: "anonymous" }, signal } as const;
const digest = digestOfHash(Buffer.alloc(32, 1));

type Answer = (request: IncomingMessage, response: ServerResponse, origin: string) => unknown;

/** Ask a registry that answers so; what it was asked for, and what came of it. */
async function asking<T>(answer: Answer, ask: (client: RegistryClient) => Promise<T>, basePath = "/") {
  await using registry = await startUpstream(
    (request, response) => void answer(request, response, `http://${request.headers.host}`),
    basePath,
  );
  const client = new RegistryClient({ base: registry.url });
  try {
    return { list: await ask(client), asked: registry.seen.map(({ url }) => url) };
  } finally {
    await client.close();
  }
}

const tags = (client: RegistryClient) => listTags(client, "team/app", options);

/** Pages of tags, each with the Link to the next that `linkTo` writes. */
function pages(all: readonly (readonly string[])[], linkTo: (next: number, origin: string) => string): Answer {
  return ({ url }, response, origin) => {
    const i = Number(/page=(\d+)/.exec(url!)?.[1] ?? 0);
    const link: Record<string, string> = i + 1 < all.length ? { link: linkTo(i + 1, origin) } : {};
    response.writeHead(200, { "content-type": "application/json", ...link }).end(JSON.stringify({ tags: all[i] }));
  };
}

const three = [["a", "b"], ["c"], ["d", "a"]];

test.each<[string, (next: number, origin: string) => string]>([
  ["a path", (next) => `</v2/team/app/tags/list?page=${next}&n=2>; rel="next"`],
  ["a URL", (next, origin) => `<${origin}/v2/team/app/tags/list?page=${next}>; rel="next"`],
  [
    "a URL of another scheme",
    (next, origin) => `<${origin.replace("http:", "https:")}/v2/team/app/tags/list?page=${next}>; rel=next`,
  ],
  ["a path relative to this one", (next) => `<list?page=${next}>; rel="next"`],
  [
    "one of several",
    (next) => `</v2/team/app/tags/list>; rel="first", </v2/team/app/tags/list?page=${next}>; rel="next"`,
  ],
])("pages are followed whose Link is %s", async (_, linkTo) => {
  const { list, asked } = await asking(pages(three, linkTo), tags);
  expect(list).toEqual(["a", "b", "c", "d"]);
  expect(asked).toHaveLength(3);
  expect(asked[0]).toBe("/v2/team/app/tags/list?n=1000");
});

test.each(["/v2/team/app/tags/list", "/below/v2/team/app/tags/list"])(
  "pages of a registry below a path are followed by %s",
  async (path) => {
    const { list, asked } = await asking(
      pages(three, (next) => `<${path}?page=${next}>; rel="next"`),
      tags,
      "/below/",
    );
    expect(list).toEqual(["a", "b", "c", "d"]);
    expect(asked.every((url) => url!.startsWith("/below/v2/"))).toBe(true);
  },
);

test.each<[string, (next: number) => string]>([
  ["at another host", () => '<http://other.example/v2/team/app/tags/list>; rel="next"'],
  ["outside of the API", () => '</admin?page=1>; rel="next"'],
  ["the page itself", () => '</v2/team/app/tags/list?n=1000>; rel="next"'],
])("a next page that is %s is an error", async (_, linkTo) => {
  await expect(asking(pages(three, linkTo), tags)).rejects.toThrow(RegistryUnreachable);
});

test("what is no tag is left out, and null is an empty list", async () => {
  const sends =
    (body: string): Answer =>
    (_, response) =>
      response.writeHead(200).end(body);
  expect((await asking(sends('{"tags":["a","../b","c/d",""]}'), tags)).list).toEqual(["a"]);
  expect((await asking(sends('{"name":"team/app","tags":null}'), tags)).list).toEqual([]);
  expect((await asking(sends('{"name":"team/app"}'), tags)).list).toEqual([]);
});

test.each([401, 403, 404])("a list that is refused by %i is absent", async (code) => {
  const refuses: Answer = (_, response) => response.writeHead(code).end("{}");
  expect((await asking(refuses, tags)).list).toBeUndefined();
  expect((await asking(refuses, (client) => listRepositories(client, options))).list).toBeUndefined();
});

test.each<[string, Answer]>([
  ["429", (_, response) => response.writeHead(429).end()],
  ["503", (_, response) => response.writeHead(503).end()],
  ["an error", (_, response) => response.writeHead(200).end('{"errors":[]}')],
  ["no JSON", (_, response) => response.writeHead(200).end("<html>")],
  ["another JSON", (_, response) => response.writeHead(200).end('{"tags":{}}')],
  ["more than 16 MiB", (_, response) => response.writeHead(200).end(Buffer.alloc(17 * 1024 * 1024, "x"))],
])("a list that is answered by %s is an error", async (_, answer) => {
  await expect(asking(answer, tags)).rejects.toThrow(RegistryUnreachable);
});

test("referrers keep all their fields, from all pages", async () => {
  const descriptors = [1, 2].map((i) => ({
    mediaType: "a/b",
    digest: digestOfHash(Buffer.alloc(32, i)),
    size: i,
    artifactType: "application/x",
    annotations: { i: String(i) },
  }));
  const answer: Answer = ({ url }, response) => {
    const isFirst = !url!.includes("last=");
    const link: Record<string, string> = isFirst ? { link: `<${url}?last=1>; rel="next"` } : {};
    const manifests = descriptors.slice(isFirst ? 0 : 1, isFirst ? 1 : 2);
    response.writeHead(200, link).end(JSON.stringify({ schemaVersion: 2, manifests }));
  };
  const { list, asked } = await asking(answer, (client) => listReferrers(client, "team/app", digest, options));
  expect(list).toEqual(descriptors);
  expect(asked[0]).toBe(`/v2/team/app/referrers/${digest}`);
});

test("the catalog has repositories, each once", async () => {
  const answer: Answer = (_, response) => response.writeHead(200).end('{"repositories":["b","a","b","../x","A"]}');
  expect((await asking(answer, (client) => listRepositories(client, options))).list).toEqual(["b", "a"]);
});
