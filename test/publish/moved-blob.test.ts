/** A blob that one repository no longer has, or no longer gives away, while another one has it. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { objectName, repositoryName } from "#blob/names.ts";
import { BlobUnknown } from "#blob/source.ts";
import { joinName, segment } from "#ndn/packet/name.ts";
import type { Digest } from "#oci/reference.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { prefix, type Serving, serve } from "./serving.ts";

const bytes = patternBlob(2_000_000);
/** What comes of the first read, so that the rest takes a read of its own. */
const firstReadBytes = 300_000;
const maxAgeMs = 5 * 60_000;
let registry: TestRegistry;
let digest: Digest;

beforeEach(async () => {
  registry = await startRegistry();
  digest = registry.addBlob("old/app", bytes);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await registry.close();
});

const failures = ({ log }: Serving) => log.filter(({ msg }) => msg === "reading the registry failed").length;

/** Have the server open the blob through `old/app`, where it then is no more. */
async function openAndDelete(serving: Serving): Promise<void> {
  registry.fault = { kind: "reset-after", bytes: firstReadBytes, times: 1 };
  const { counters } = serving.server.producer;
  serving.reader().ask(joinName(objectName(prefix, digest, 8192), segment(0)), {
    forwardingHint: repositoryName(prefix, "old/app"),
  });
  await until("the first segment", () => counters.segmentsSent === 1);
  await until("the read to end", () => failures(serving) >= 1);
  registry.repositories.get("old/app")!.blobs.delete(digest);
}

test("a blob that has left the repository it was opened in is read from the one that the hint names", async () => {
  await using serving = await serve(registry);
  await openAndDelete(serving);
  registry.addBlob("new/app", bytes);
  expect((await serving.reader().read({ repository: "new/app", digest })).equals(bytes)).toBe(true);
});

test("when a read finds that a blob is gone, its repository is asked again before it is said to be there", async () => {
  await using serving = await serve(registry);
  await openAndDelete(serving);
  const reader = serving.reader();
  const lost = joinName(objectName(prefix, digest, 8192), segment(Math.floor(firstReadBytes / 8192) + 1));
  reader.ask(lost, { forwardingHint: repositoryName(prefix, "old/app") });
  await until("the read to fail", () => failures(serving) >= 2);
  await expect(reader.read({ repository: "old/app", digest })).rejects.toThrow(BlobUnknown);
});

test("the registry is asked again after five minutes whether a blob may be read", async () => {
  await using serving = await serve(registry);
  expect(await serving.reader().read({ repository: "old/app", digest })).toHaveLength(bytes.length);
  registry.repositories.get("old/app")!.blobs.delete(digest);
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + maxAgeMs);
  await expect(serving.reader().read({ repository: "old/app", digest })).rejects.toThrow(BlobUnknown);
});
