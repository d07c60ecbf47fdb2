/**
 * "many": whether blobs that come at once get as much as one alone.
 */
import { join } from "node:path";
import { checkFile, curl, type Download, watchUpstream } from "./download.ts";
import { type Rig, startRig } from "./rig.ts";
import { measureEach, measureRounds, type Scenario, timed, usualSizeBytes } from "./scenario.ts";

const count = 16;
/** Below this a share of the size would be a blob of which no one makes an image: the size is each one's then. */
const smallSizeBytes = 16_000_000;
const goal = { needed: 0.9, aim: 1 };

/** Sixteen cold blobs at once beside one cold blob of their sum, through the forwarder. */
export const many: Scenario = {
  name: "many",
  title: `many: ${count} cold blobs at once beside one of their sum`,
  async run(context) {
    await using owned = new AsyncDisposableStack();
    const rig = await startRig(context, owned);
    await rig.server("server", ["--uplink", rig.uplink]);
    const client = await rig.client("client", rig.uplink);
    const wantedBytes = context.sizeBytes ?? usualSizeBytes;
    const eachBytes = wantedBytes < smallSizeBytes ? wantedBytes : Math.floor(wantedBytes / count);
    const sizeBytes = eachBytes * count;
    const figures = await measureRounds(context, async (note, round) => {
      const upstream = await watchUpstream([client]);
      const [alone, together] = await bothWays(rig, client.url, eachBytes, round);
      note({ name: "one blob", unit: "MB/s", isOurs: true }, sizeBytes / 1e6 / alone);
      note({ name: `${count} blobs, their sum`, unit: "MB/s", isOurs: true }, sizeBytes / 1e6 / together);
      note({ name: `${count} blobs : one blob`, unit: "times as fast", goal }, alone / together);
      await upstream(note, "both");
      const [straightAlone, straightTogether] = await bothWays(rig, rig.registry.url, eachBytes, round);
      note({ name: "the same straight from the registry", unit: "times as fast" }, straightAlone / straightTogether);
    });
    return { sizeBytes, figures };
  },
};

/** Seconds for one blob of the sum, and for all at once. */
function bothWays(rig: Rig, endpoint: string, eachBytes: number, round: number) {
  return measureEach([1, count], round, (blobs) => secondsOf(rig, endpoint, blobs, (eachBytes * count) / blobs));
}

async function secondsOf(rig: Rig, endpoint: string, blobs: number, eachBytes: number): Promise<number> {
  const downloads: Download[] = [];
  for (let index = 0; index < blobs; index++) {
    const { digest } = await rig.freshBlob(eachBytes);
    downloads.push({ endpoint, digest, file: join(rig.folder, `output-${index}`) });
  }
  const seconds = await timed(() => curl(downloads));
  for (const { file, digest } of downloads) await checkFile(file, digest);
  return seconds;
}
