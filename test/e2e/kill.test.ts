/** Parts of the path end without a goodbye; the puller must not notice. */
import { join } from "node:path";
import { retrieveMetadata } from "@ndn/rdr";
import { fetch as fetchSegmented } from "@ndn/segmented-object";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { onceDown, startLinkRelay } from "#test/support/link/link-relay.ts";
import { connectNdnts, hintOf, plainName, segmentedName } from "#test/support/ndn-consumer.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import type { RunningProcess } from "#test/support/process.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { blobBytes, startClient } from "#test/support/running-program.ts";
import { fetchBlob } from "#test/support/slow-reader.ts";
import { useStage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";
import { prefix, startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/kill";
const sizeBytes = 100 * 1024 * 1024;
const patience = { timeout: 60_000 };

describeWith(wholePathPrograms, "a part that is killed", () => {
  const stage = useStage();
  let path: WholePath;
  let forwarder: RunningProcess;
  let blobs = 0;

  beforeAll(async () => {
    path = await startWholePath(stage, { relayed: true });
    forwarder = path.forwarder;
  }, 60_000);

  /** A blob that no store on the way has ever seen. */
  async function freshBlob(size = sizeBytes): Promise<string> {
    blobs += 1;
    return (await pushBlob(path.registry.url, repository, randomBytesOf(`kill ${blobs}`, size))).digest;
  }

  /** Pull a large blob and do the deed in the middle of it. */
  async function pullAcross(deed: () => Promise<unknown>, client = path.client, relay = path.relay!): Promise<void> {
    const digest = await freshBlob();
    const before = await blobBytes(client);
    const done = Promise.withResolvers<unknown>();
    onceDown(relay, 20_000_000, () => done.resolve(deed()));
    const begin = performance.now();
    expect(await fetchBlob(client.url, repository, digest)).toEqual({ digest, sizeBytes, isComplete: true });
    expect(performance.now() - begin).toBeLessThan(30_000);
    await done.promise;
    const after = await blobBytes(client);
    expect(after.ndn - before.ndn).toBeGreaterThanOrEqual(10_000_000);
    expect(after.upstream - before.upstream).toBe(sizeBytes - (after.ndn - before.ndn));
    expect(after.upstream).toBeGreaterThan(before.upstream);
  }

  async function untilNdnServes(): Promise<void> {
    await until(
      "blobs over NDN",
      async () => {
        const before = await blobBytes(path.client);
        await fetchBlob(path.client.url, repository, await freshBlob(1_000));
        return (await blobBytes(path.client)).ndn > before.ndn;
      },
      40_000,
    );
  }

  beforeEach(untilNdnServes, 45_000);

  test("the server, in mid-blob: the right bytes arrive", patience, async () => {
    const [server] = path.servers();
    try {
      await pullAcross(() => server!.process.kill());
    } finally {
      await path.anotherServer(`server-${blobs}`);
    }
  });

  test("the forwarder, in mid-blob: the right bytes arrive", patience, async () => {
    try {
      await pullAcross(() => forwarder.kill());
    } finally {
      forwarder = await path.anotherForwarder();
    }
  });

  test("the uplink, in mid-blob, by a link that is cut: the right bytes arrive", patience, async () => {
    const folder = await stage.newFolder("far-client");
    const listen = join(folder, "link.sock");
    const link = stage.own(
      await startLinkRelay({ listen, target: path.socket, up: {}, down: { delayMs: 1 }, seed: 1 }),
    );
    const args = ["--name", prefix, "--upstream", path.registry.url, "--uplink", `unix://${listen}`];
    await using client = await startClient({ folder, args });
    await pullAcross(async () => link[Symbol.asyncDispose](), client, link);
  });

  test("the server between metadata and segments: the one started after it answers", patience, async () => {
    await using ndnts = await connectNdnts(path.socket);
    const size = 1_000_000;
    const digest = await freshBlob(size);
    const { name } = await retrieveMetadata(plainName(prefix, repository, digest), { fw: ndnts.fw });
    for (const server of path.servers()) await server.process.kill();
    await path.anotherServer(`server-${blobs}`);
    const options = { fw: ndnts.fw, modifyInterest: hintOf(prefix, repository), retxLimit: 50 };
    expect(digestOf(await fetchSegmented(name, options))).toBe(digest);
  });

  test("the only server that has seen the metadata: the other one answers", patience, async () => {
    await using ndnts = await connectNdnts(path.socket);
    const digest = await freshBlob(1_000_000);
    await retrieveMetadata(plainName(prefix, repository, digest), { fw: ndnts.fw });
    const [seen] = path.servers();
    await path.anotherServer(`server-${blobs}`);
    await seen!.process.kill();
    const options = { fw: ndnts.fw, modifyInterest: hintOf(prefix, repository), retxLimit: 50 };
    expect(digestOf(await fetchSegmented(segmentedName(prefix, digest), options))).toBe(digest);
  });
});
