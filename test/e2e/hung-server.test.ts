/** A server hangs while its route stays: the forwarder goes on to ask it first, and each segment waits for its RTO. */
import { beforeAll, expect, test } from "vitest";
import { blobBytes } from "#test/support/gateway.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { blobUrl, fetchBlob, openSlowly } from "#test/support/slow-reader.ts";
import { useStage } from "#test/support/stage.ts";
import { startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/hung";
const sizeBytes = 45 * 1024 * 1024;

describeWith(wholePathPrograms, "one of two servers hangs", () => {
  const stage = useStage();
  let path: WholePath;

  beforeAll(async () => {
    path = await startWholePath(stage);
    await path.anotherServer("second");
  }, 60_000);

  async function freshBlob(n: number): Promise<string> {
    return (await pushBlob(path.registry.url, repository, randomBytesOf(`hung ${n}`, sizeBytes))).digest;
  }

  test("in the middle of a pull: the rest comes over HTTPS, and the next pulls are quick again", {
    timeout: 60_000,
  }, async () => {
    const { client, server } = path;
    for (const n of [0, 1, 2]) await fetchBlob(client.url, repository, await freshBlob(n));
    const digest = await freshBlob(3);
    const reader = await openSlowly(blobUrl(client.url, repository, digest));
    await reader.read(10_000_000);
    server.process.signal("SIGSTOP");
    try {
      const began = performance.now();
      expect(await reader.finish()).toEqual({ digest, sizeBytes, isComplete: true });
      expect(performance.now() - began).toBeLessThan(12_000);
      expect((await blobBytes(client)).upstream).toBeGreaterThan(0);
      for (const n of [4, 5]) {
        const next = performance.now();
        const fresh = await freshBlob(n);
        expect((await fetchBlob(client.url, repository, fresh)).digest).toBe(fresh);
        expect(performance.now() - next).toBeLessThan(8_000);
      }
    } finally {
      server.process.signal("SIGCONT");
    }
  });
});
