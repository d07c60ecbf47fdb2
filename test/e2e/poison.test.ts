/** Somebody puts forged segments into the forwarder's store: no wrong blob ever completes. */
import { beforeAll, expect, test } from "vitest";
import { forgedSegments, insert } from "#test/support/link/forged-segments.ts";
import { segmentedName } from "#test/support/ndn-consumer.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { blobBytes } from "#test/support/running-program.ts";
import { fetchBlob } from "#test/support/slow-reader.ts";
import { useStage } from "#test/support/stage.ts";
import { overNdnOnly, prefix, startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/poison";
const patience = { timeout: 40_000 };

describeWith(wholePathPrograms, "forged segments in the forwarder's store", () => {
  const stage = useStage();
  let path: WholePath;

  beforeAll(async () => {
    path = await startWholePath(stage, { client: overNdnOnly });
  }, 60_000);

  let pushed = 0;

  /** Push a blob of which these segments are forged in the store before anyone has asked for it. */
  async function pushPoisoned(sizeBytes: number, segments: readonly number[]): Promise<string> {
    const { digest } = await pushBlob(path.registry.url, repository, randomBytesOf(`poison ${pushed++}`, sizeBytes));
    await insert(path.socket, forgedSegments({ name: segmentedName(prefix, digest), sizeBytes, segments }));
    return digest;
  }

  test("a blob that fits into memory is replaced before its first byte", patience, async () => {
    const sizeBytes = 3_000_000;
    const digest = await pushPoisoned(sizeBytes, [5, 200]);
    const before = await blobBytes(path.client);
    expect(await fetchBlob(path.client.url, repository, digest)).toEqual({ digest, sizeBytes, isComplete: true });
    expect((await blobBytes(path.client)).upstream - before.upstream).toBe(sizeBytes);
  });

  test("a longer blob is broken off, and the next try is right and over HTTPS", patience, async () => {
    const sizeBytes = 20_000_000;
    const digest = await pushPoisoned(sizeBytes, [1000]);
    const wrong = await fetchBlob(path.client.url, repository, digest);
    expect(wrong.isComplete).toBe(false);
    expect(wrong.sizeBytes).toBeLessThan(sizeBytes);
    const before = await blobBytes(path.client);
    expect(await fetchBlob(path.client.url, repository, digest)).toEqual({ digest, sizeBytes, isComplete: true });
    expect(await blobBytes(path.client)).toEqual({ ...before, upstream: before.upstream + sizeBytes });
  });

  test("each of several ranges to its end is broken off, and the next try is right", patience, async () => {
    const sizeBytes = 20_000_000;
    const digest = await pushPoisoned(sizeBytes, [1500]);
    const read = async (start: number) => {
      const url = `${path.client.url}/v2/${repository}/blobs/${digest}`;
      const answer = await fetch(url, { headers: { range: `bytes=${start}-` } });
      return answer.arrayBuffer().then(
        (bytes) => Buffer.from(bytes),
        () => "broken off",
      );
    };
    const starts = [0, 5_000_000, 10_000_000, 15_000_000];
    expect(await Promise.all(starts.map(read))).toEqual(starts.map(() => "broken off"));
    const right = (await Promise.all(starts.map(read))) as Buffer[];
    expect(digestOf(right[0]!)).toBe(digest);
    for (const [i, bytes] of right.entries()) expect(bytes.equals(right[0]!.subarray(starts[i]))).toBe(true);
  });
});
