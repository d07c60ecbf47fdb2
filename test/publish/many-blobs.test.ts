import { expect, test } from "vitest";
import { forEachBounded } from "#base/limits.ts";
import { metadataName } from "#blob/names.ts";
import { patternBlob, startRegistry } from "#test/support/registry.ts";
import { prefix, serve } from "./serving.ts";

const repository = "team/app";
/** Three times what may be asked for in vain at once. */
const count = 1_500;

test("blobs that are there are opened however many they are in a second, each with one request", async () => {
  const registry = await startRegistry();
  try {
    await using serving = await serve(registry);
    const reader = serving.reader();
    const digests = Array.from({ length: count }, (_, n) => registry.addBlob(repository, patternBlob(100, n)));
    const limits = { timeoutMs: 60_000 };
    await forEachBounded(digests, 32, (digest) => reader.get(metadataName(prefix, repository, digest), {}, limits));
    expect(serving.server.producer.counters.dropped).toBe(0);
    expect(registry.requests.length).toBe(count);
  } finally {
    await registry.close();
  }
});
