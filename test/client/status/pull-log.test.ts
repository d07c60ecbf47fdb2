import { expect, test } from "vitest";
import { PullLog } from "#client/status/pull-log.ts";
import type { Clock } from "#client/status/pull-view.ts";
import { askManifest, beginBlob, digestOf, puller } from "./stage.ts";

function startLog() {
  const clock: Clock & { ms: number } = {
    ms: 1_000,
    now: () => clock.ms,
    date: () => 1_700_000_000_000 + clock.ms,
  };
  let begun = 0;
  const log = new PullLog({
    clock,
    begun: { inc: () => void begun++ },
  });
  return { log, clock, begun: () => begun };
}

test("a manifest and the blobs that follow are one pull, with its bytes by source", () => {
  const { log, clock, begun } = startLog();
  askManifest(log, { ...puller, reference: "3.22", status: 401 });
  askManifest(log, { ...puller, reference: "3.22", status: 200 });
  askManifest(log, { ...puller, reference: digestOf("a"), status: 200 });
  const blobs = [digestOf("b"), digestOf("c")].map((digest) => beginBlob(log, { ...puller, digest }));
  blobs[0]!.wrote("ndn", 100);
  blobs[1]!.wrote("store", 20);
  blobs[1]!.wrote("upstream", 3);
  clock.ms += 500;
  expect(log.pulls()).toMatchObject([{ outcome: "running", blobs: { live: 2 }, durationMs: 500 }]);
  for (const blob of blobs) blob.ended("complete");
  clock.ms += 5_000;
  expect(log.pulls()).toEqual([
    {
      ...puller,
      id: 1,
      reference: "3.22",
      beganAt: 1_700_000_001_000,
      durationMs: 500,
      bytes: { ndn: 100, store: 20, upstream: 3, peer: 0 },
      blobs: { live: 0, complete: 2, failed: 0 },
      outcome: "complete",
      reason: null,
      whyNotNdn: null,
      manifestFrom: null,
    },
  ]);
  expect(begun()).toBe(1);
});

test("a pull says where its manifest came from last, which a refusal does not change", () => {
  const { log } = startLog();
  for (const answer of [{ status: 200, from: "upstream" }, { status: 200, from: "ndn" }, { status: 503 }]) {
    log.asked({ ...puller, reference: "3.22" })(answer);
  }
  expect(log.pulls()).toMatchObject([{ manifestFrom: "ndn" }]);
});

test("a running blob shows its progress, and is gone when it ends", () => {
  const { log, clock } = startLog();
  const blob = beginBlob(log, { ...puller, digest: digestOf("b") });
  expect(log.live(10)).toMatchObject([{ ...puller, digest: digestOf("b"), sizeBytes: null, bytes: { ndn: 0 } }]);
  blob.sized(300);
  blob.wrote("ndn", 100);
  clock.ms += 250;
  expect(log.live(10)).toMatchObject([{ sizeBytes: 300, bytes: { ndn: 100 }, durationMs: 250 }]);
  expect([log.live(0), log.liveCount]).toEqual([[], 1]);
  blob.ended("complete");
  blob.ended("complete");
  expect([log.live(10), log.liveCount]).toEqual([[], 0]);
  expect(log.pulls()).toMatchObject([{ blobs: { live: 0, complete: 1 } }]);
});

test("another puller, registry, repository or tag is another pull, and so is the same one later", () => {
  const { log, clock } = startLog();
  const askFor = (changed: object) => askManifest(log, { ...puller, reference: "a", status: 200, ...changed });
  for (const changed of [{}, { client: "::1" }, { registry: "quay.io" }, { repository: "x" }, { reference: "b" }, {}]) {
    askFor(changed);
  }
  expect(log.pulls()).toHaveLength(5);
  clock.ms += 4_000;
  askFor({});
  expect(log.pulls()).toHaveLength(5);
  clock.ms += 6_000;
  askFor({});
  expect(log.pulls()).toHaveLength(6);
});

test("the same tag again after its blobs is another pull, with a blob running it is not", () => {
  const { log } = startLog();
  const askFor = () => askManifest(log, { ...puller, reference: "a", status: 200 });
  askFor();
  const blob = beginBlob(log, { ...puller, digest: digestOf("b") });
  askFor();
  expect(log.pulls()).toHaveLength(1);
  blob.ended("complete");
  askFor();
  expect(log.pulls()).toHaveLength(2);
});

test("a pull stays one while a blob takes longer than the pause that would end it", () => {
  const { log, clock } = startLog();
  const blob = beginBlob(log, { ...puller, digest: digestOf("b") });
  clock.ms += 600_000;
  beginBlob(log, { ...puller, digest: digestOf("c") }).ended("complete");
  blob.ended("complete");
  expect(log.pulls()).toMatchObject([{ durationMs: 600_000, blobs: { complete: 2 } }]);
});

test.each([
  { ends: ["broken"], status: 200, outcome: "failed" },
  { ends: ["broken", "complete"], status: 200, outcome: "complete" },
  { ends: ["cancelled"], status: 200, outcome: "cancelled" },
  { ends: ["complete", "cancelled"], status: 200, outcome: "complete" },
  { ends: ["refused"], status: 200, outcome: "refused" },
  { ends: [], status: 404, outcome: "refused" },
  { ends: [], status: 503, outcome: "failed" },
  { ends: [], status: 200, outcome: "checked" },
] as const)("what became of a blob last decides: $ends after $status is $outcome", ({ ends, status, outcome }) => {
  const { log, clock } = startLog();
  askManifest(log, { ...puller, reference: "a", status });
  for (const end of ends) beginBlob(log, { ...puller, digest: digestOf("b") }).ended(end);
  clock.ms += 3_000;
  expect(log.pulls()).toMatchObject([{ outcome }]);
});

test("the last 50 pulls are remembered, those that are running longer", () => {
  const { log } = startLog();
  const running = beginBlob(log, { ...puller, repository: "first", digest: digestOf("b") });
  for (let i = 0; i < 200; i++) askManifest(log, { ...puller, repository: `r${i}`, reference: "a", status: 404 });
  const names = log.pulls().map(({ repository }) => repository);
  expect([names.length, names[0], names.at(-1)]).toEqual([50, "r199", "first"]);
  running.ended("complete");
});

test("fifty running pulls do not keep the newest one out", () => {
  const { log } = startLog();
  const blobs = Array.from({ length: 60 }, (_, i) =>
    beginBlob(log, { ...puller, repository: `r${i}`, digest: digestOf("b") }),
  );
  expect(log.pulls()).toHaveLength(50);
  expect(log.pulls()[0]).toMatchObject({ repository: "r59", blobs: { live: 1 } });
  for (const blob of blobs) blob.ended("complete");
  expect(log.liveCount).toBe(0);
});

test("what a stranger asks for takes a bounded amount of memory", () => {
  const { log } = startLog();
  for (let i = 0; i < 10_000; i++) beginBlob(log, { ...puller, digest: `sha256:${i}` }).ended("refused");
  askManifest(log, { ...puller, reference: "x".repeat(100_000), status: 404 });
  const [newest, oldest] = log.pulls();
  expect(newest!.reference).toHaveLength(135);
  expect(oldest!.blobs.failed).toBe(256);
});
