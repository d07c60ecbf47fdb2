/**
 * "memory": what server and client hold while a slow reader takes a blob that is far larger.
 */
import { blobUrl } from "#test/support/slow-reader.ts";
import { watchUpstream } from "./download.ts";
import { pushSeeded, seededHash } from "./large-blob.ts";
import { readSlowly } from "./load/read-slowly.ts";
import { repository, startRig } from "./rig.ts";
import { collect, type Scenario } from "./scenario.ts";
import { peakBytes } from "./usage.ts";

const usualLargeBytes = 2 * 1024 ** 3;
const bytesPerSecond = 5_000_000;
const goal = { needed: 250, aim: 150 };

/** Once, whatever the number of rounds, with processes that have done nothing before. */
export const memory: Scenario = {
  name: "memory",
  title: `memory: a reader of ${bytesPerSecond / 1e6} MB/s`,
  async run(context) {
    await using owned = new AsyncDisposableStack();
    const rig = await startRig(context, owned);
    const server = await rig.server("server", ["--uplink", rig.uplink]);
    const client = await rig.client("client", rig.uplink);
    const sizeBytes = context.sizeBytes ?? usualLargeBytes;
    const seed = `memory ${sizeBytes}`;
    const digest = await pushSeeded(rig.registry.url, seed, sizeBytes);
    context.progress(`reading for ${context.seconds} s`);
    const upstream = await watchUpstream([client]);
    const url = blobUrl(client.url, repository, digest);
    const read = await readSlowly(url, { bytesPerSecond, seconds: context.seconds });
    if (read.hash !== seededHash(seed, read.bytes)) throw new Error(`wrong bytes among the first ${read.bytes}`);
    const figures = await collect(async (note) => {
      note({ name: "peak memory of server", unit: "MB resident", goal }, peakBytes(server.process.pid) / 1e6);
      note({ name: "peak memory of client", unit: "MB resident", goal }, peakBytes(client.process.pid) / 1e6);
      note({ name: "read", unit: "MB" }, read.bytes / 1e6);
      await upstream(note, "read");
    });
    return { sizeBytes, figures };
  },
};
