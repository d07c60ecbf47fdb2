/** A server hangs while its route stays: the forwarder goes on to ask it first, and each segment waits for its RTO. */
import { beforeAll, expect, test } from "vitest";
import { onceDown } from "#test/support/link/link-relay.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { blobBytes, payloadSent, type RunningProgram } from "#test/support/running-program.ts";
import { fetchBlob } from "#test/support/slow-reader.ts";
import { useStage } from "#test/support/stage.ts";
import { overNdnOnly, startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/hung";
const sizeBytes = 45 * 1024 * 1024;

describeWith(wholePathPrograms, "one of two servers hangs", () => {
  const stage = useStage();
  let path: WholePath;

  beforeAll(async () => {
    path = await startWholePath(stage, { relayed: true, client: overNdnOnly });
    await path.anotherServer("second");
  }, 60_000);

  let pushed = 0;

  async function freshBlob(): Promise<string> {
    return (await pushBlob(path.registry.url, repository, randomBytesOf(`hung ${pushed++}`, sizeBytes))).digest;
  }

  /** Of servers at equal cost the forwarder asks one, and only the forwarder knows which. */
  async function busyServer(): Promise<RunningProgram> {
    const [one, other] = path.servers() as [RunningProgram, RunningProgram];
    return (await payloadSent(one)) > (await payloadSent(other)) ? one : other;
  }

  test("in the middle of a pull: the rest comes over HTTPS, and the next pulls are quick again", {
    timeout: 90_000,
  }, async () => {
    const { client } = path;
    for (const _ of [0, 1, 2]) await fetchBlob(client.url, repository, await freshBlob());
    const digest = await freshBlob();
    const fromUpstream = (await blobBytes(client)).upstream;
    const server = await busyServer();
    let isHung = false;
    onceDown(path.relay!, 10_000_000, () => {
      server.process.signal("SIGSTOP");
      isHung = true;
    });
    try {
      const began = performance.now();
      expect(await fetchBlob(client.url, repository, digest)).toEqual({ digest, sizeBytes, isComplete: true });
      expect(performance.now() - began).toBeLessThan(25_000);
      expect(isHung).toBe(true);
      expect((await blobBytes(client)).upstream).toBeGreaterThan(fromUpstream);
      for (const _ of [4, 5]) {
        const fresh = await freshBlob();
        const next = performance.now();
        expect((await fetchBlob(client.url, repository, fresh)).digest).toBe(fresh);
        expect(performance.now() - next).toBeLessThan(12_000);
      }
    } finally {
      server.process.signal("SIGCONT");
    }
  });
});
