import { describe, expect, test } from "vitest";
import { type Answer, ask } from "../endpoint.ts";
import { digestOfBytes, ociManifest } from "./signing-server.ts";
import { manifest, repository, usePointerStage } from "./stage.ts";

const stage = usePointerStage();
const tagList = `/v2/${repository}/tags/list`;
const json = ({ body }: Answer) => JSON.parse(body.toString()) as Record<string, unknown>;

/** Where the next page is, without the origin. */
function nextOf({ headers }: Answer): string | undefined {
  return /^<([^>]+)>; rel="next"$/.exec(String(headers.link ?? ""))?.[1];
}

/** All names, page by page. */
async function readPages(url: URL, first: string, key: string): Promise<string[][]> {
  const pages: string[][] = [];
  for (let path: string | undefined = first; path !== undefined; ) {
    const answer: Answer = await ask(url, path);
    expect(answer.status).toBe(200);
    pages.push(json(answer)[key] as string[]);
    path = nextOf(answer);
  }
  return pages;
}

test("a list without n has all tags, sorted", async () => {
  stage.server.saysTags(repository, ["b", "a", "latest", "B"]);
  const { url } = await stage.start();
  const answer = await ask(url, tagList);
  expect([answer.status, json(answer), answer.headers.link]).toEqual([
    200,
    { name: repository, tags: ["B", "a", "b", "latest"] },
    undefined,
  ]);
  expect(answer.headers["x-manifest-source"]).toBe("ndn");
});

test.each([
  ["n=2", ["1", "2"], true],
  ["n=2&last=1", ["2", "3"], true],
  ["n=2&last=1.5", ["2", "3"], true],
  ["n=3&last=2", ["3", "4", "5"], false],
  ["last=3", ["4", "5"], false],
  ["n=9", ["1", "2", "3", "4", "5"], false],
  ["n=0", [], false],
  ["last=zzz", [], false],
])("?%s is cut from the list", async (query, tags, isMore) => {
  stage.server.saysTags(repository, ["1", "2", "3", "4", "5"]);
  const { url } = await stage.start();
  const answer = await ask(url, `${tagList}?${query}`);
  expect([json(answer).tags, nextOf(answer) !== undefined]).toEqual([tags, isMore]);
});

test.each(["-1", "ten", "1.5", ""])("n=%s is 400", async (n) => {
  stage.server.saysTags(repository, ["1"]);
  const { url } = await stage.start();
  expect((await ask(url, `${tagList}?n=${n}`)).status).toBe(400);
});

test("pages that follow by Link are cut from the snapshot of the first one", async () => {
  stage.server.saysTags(repository, ["a", "b", "c", "d", "e"]);
  const { url } = await stage.start();
  const first = await ask(url, `${tagList}?n=2`);
  stage.server.saysTags(repository, ["a", "aa", "bb", "c"]);
  await new Promise((resolve) => setTimeout(resolve, 300)); // one question for HEAD and GET is held for 250 ms
  expect(await readPages(url, nextOf(first)!, "tags")).toEqual([["c", "d"], ["e"]]);
  expect(await readPages(url, `${tagList}?n=3`, "tags")).toEqual([["a", "aa", "bb"], ["c"]]);
});

test("a snapshot of another list is not given out by its digest", async () => {
  stage.server.saysTags(repository, ["a"]);
  const other = stage.server.saysTags("other/secret", ["hidden"]);
  const { url } = await stage.start();
  await ask(url, "/v2/other/secret/tags/list");
  expect(json(await ask(url, `${tagList}?snapshot=${other}`)).tags).toEqual(["a"]);
});

test("a list of 10,000 long names comes in pages", async () => {
  const tags = Array.from({ length: 10_000 }, (_, i) => `${String(i).padStart(5, "0")}${"x".repeat(123)}`);
  stage.server.saysTags(repository, tags);
  const { url } = await stage.start();
  expect((await readPages(url, `${tagList}?n=1000`, "tags")).flat()).toEqual(tags);
});

test("the catalog is answered where the server has one", async () => {
  stage.server.saysCatalog(["b/two", "a/one"]);
  const { url } = await stage.start();
  expect(await readPages(url, "/v2/_catalog?n=1", "repositories")).toEqual([["a/one"], ["b/two"]]);
});

test("a repository that is not there is 404 NAME_UNKNOWN", async () => {
  stage.server.says({ kind: "tags", repository }, "absent");
  const { url } = await stage.start();
  const answer = await ask(url, tagList);
  expect([answer.status, json(answer)]).toMatchObject([404, { errors: [{ code: "NAME_UNKNOWN" }] }]);
});

describe("referrers", () => {
  const subject = digestOfBytes(manifest);
  const path = `/v2/${repository}/referrers/${subject}`;
  const of = (artifactType: string) => ({
    mediaType: ociManifest,
    digest: digestOfBytes(Buffer.from(artifactType)),
    size: 1,
    artifactType,
    annotations: { made: "here" },
  });

  test("are an index, with what descriptors have besides", async () => {
    stage.server.saysReferrers(repository, subject, [of("a/b"), of("c/d")]);
    const { url } = await stage.start();
    const answer = await ask(url, path);
    expect(answer.headers["content-type"]).toBe("application/vnd.oci.image.index.v1+json");
    expect([json(answer), answer.headers["oci-filters-applied"]]).toMatchObject([
      { schemaVersion: 2, manifests: [of("a/b"), of("c/d")] },
      undefined,
    ]);
  });

  test("are filtered by artifactType, and the answer says so", async () => {
    stage.server.saysReferrers(repository, subject, [of("a/b"), of("c/d")]);
    const { url } = await stage.start();
    const answer = await ask(url, `${path}?artifactType=${encodeURIComponent("c/d")}`);
    expect([json(answer).manifests, answer.headers["oci-filters-applied"]]).toEqual([[of("c/d")], "artifactType"]);
  });

  test("of what has none are an empty index", async () => {
    stage.server.says({ kind: "referrers", repository, digest: subject }, "absent");
    const { url } = await stage.start();
    const answer = await ask(url, path);
    expect([answer.status, json(answer).manifests]).toEqual([200, []]);
  });

  test("of a digest of another algorithm are 404, so that pullers look for the tag", async () => {
    const { url } = await stage.start();
    expect((await ask(url, `/v2/${repository}/referrers/sha512:${"0".repeat(128)}`)).status).toBe(404);
  });
});

test("a list whose maker is gone is asked for past caches, and had from another server", async () => {
  stage.server.saysTags(repository, ["a"]);
  stage.server.hasSnapshots = false;
  const { url } = await stage.start();
  const answering = ask(url, tagList);
  // The one that answers the second question has made it itself.
  stage.server.onUnique = () => {
    stage.server.hasSnapshots = true;
  };
  expect(json(await answering).tags).toEqual(["a"]);
  expect(stage.server.asked).toContain("tags unique");
}, 30_000);
