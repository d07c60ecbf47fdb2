import { expect, test } from "vitest";
import { answerList } from "#client/pointers/list-answers.ts";
import type { Snapshots } from "#client/pointers/snapshots.ts";
import { digestOfBytes } from "./signing-server.ts";

const digest = digestOfBytes(Buffer.from("x"));
const snapshot = { digest, names: ["a", "b"], referrers: [], seenMs: 0, isStale: false };
const snapshots = { read: () => Promise.resolve(snapshot) } as Partial<Snapshots> as Snapshots;

test.each([
  ["plain", { form: "plain", prefix: "", ns: "" }, "/v2/team/app/tags/list", ""],
  [
    "with ?ns=",
    { form: "ns", prefix: "", ns: "ns=registry.example" },
    "/v2/team/app/tags/list",
    "&ns=registry.example",
  ],
  ["in path form", { form: "path", prefix: "registry.example", ns: "" }, "/v2/registry.example/team/app/tags/list", ""],
] as const)(
  "a page's Link leads to the next one as the puller has written its request, %s",
  async (_form, askedAs, path, more) => {
    const question = { url: "/v2/team/app/tags/list?n=1", askedAs, signal: new AbortController().signal };
    const { headers } = await answerList(snapshots, question, { kind: "tags", repository: "team/app" });
    const snapshotOf = `snapshot=${encodeURIComponent(digest)}`;
    expect(headers.link).toBe(`<${path}?last=a&n=1&${snapshotOf}${more}>; rel="next"`);
  },
);
