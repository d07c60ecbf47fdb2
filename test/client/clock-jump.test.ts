import { afterEach, expect, test, vi } from "vitest";
import { repository } from "#test/blob/faulty-sources.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { startRegistry } from "#test/support/registry.ts";
import { useCachedStage } from "./blobs/cached-stage.ts";
import { ask } from "./endpoint.ts";

const stage = useCachedStage();
const yearMs = 365 * 24 * 3_600_000;
afterEach(() => vi.useRealTimers());

test.each([
  ["ahead", 10 * yearMs],
  ["back", -10 * yearMs],
])("a system clock that jumps %s costs no pull, no right and no cached blob", async (_where, jumpMs) => {
  const registry = await startRegistry({ auth: { users: { gateway: "secret" }, anonymous: false } });
  stage.owned.defer(() => registry.close());
  const layers = ["one", "two", "three"].map((seed) => randomBytesOf(`clock ${seed}`, 100_000));
  const image = registry.addImage(repository, "latest", layers);
  const credentials = { username: "gateway", password: "secret" };
  const first = await stage.start(registry.url, undefined, { credentials });
  const pull = async (url: URL, layer: number) => {
    const manifest = await ask(url, `/v2/${repository}/manifests/latest`);
    const blob = await ask(url, `/v2/${repository}/blobs/${image.layers[layer]}`);
    expect([manifest.status, blob.status, blob.body.equals(layers[layer]!)]).toEqual([200, 200, true]);
    return blob.headers["x-blob-source"];
  };
  expect(await pull(first.url, 0)).toBe("upstream");
  const realNow = Date.now();
  vi.useFakeTimers({ toFake: ["Date"], now: realNow + jumpMs });
  registry.expireTokens();
  expect(await pull(first.url, 0)).toBe("store");
  expect(await pull(first.url, 1)).toBe("upstream");
  await first[Symbol.asyncDispose]();

  // What the next start finds was written in another time.
  vi.setSystemTime(realNow);
  await using second = await stage.start(registry.url, undefined, { credentials });
  expect([await pull(second.url, 0), await pull(second.url, 1)]).toEqual(["store", "store"]);
  expect(await pull(second.url, 2)).toBe("upstream");
  await registry.close();
  expect(await pull(second.url, 2)).toBe("store");
  // Who was used last still goes last.
  await second.store.prune(second.store.usedBytes - 1);
  expect(second.store.has(image.layers[2]!)).toBe(true);
});
