/**
 * "warm": blobs that the client holds, beside the registry's own answers for the same blobs.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { testEnvironment } from "#test/support/environment.ts";
import { blobUrl } from "#test/support/slow-reader.ts";
import { checkFile, curl } from "./download.ts";
import { requestRate } from "./request-rate.ts";
import { type Rig, repository, startRig } from "./rig.ts";
import { measureEach, measureRounds, type Note, type Scenario, timed, usualSizeBytes } from "./scenario.ts";

const execute = promisify(execFile);
const goal = { needed: 1, aim: 1.2 };
const [times, connections, smallBlobs, seconds] = [5, 8, 100, 2];

/** One large blob by one reader, and the rate of small ones over connections that are kept alive; in turn with the registry. */
export const warm: Scenario = {
  name: "warm",
  title: "warm: blobs that the client holds beside the registry's own",
  async run(context) {
    await using owned = new AsyncDisposableStack();
    const rig = await startRig(context, owned);
    const client = await rig.client("client", "unix:///none/here.sock"); // cached is cached: where from is no matter
    const sizeBytes = context.sizeBytes ?? usualSizeBytes;
    const ends: Ends = { registry: rig.registry.url, client: client.url };
    const [large] = await cached(rig, ends, 1, sizeBytes);
    const small = new Map<number, string[]>();
    for (const size of [1_000, 16_000]) small.set(size, await cached(rig, ends, smallBlobs, size));
    const figures = await measureRounds(context, async (note, round) => {
      await compare(note, round, `${Math.round(sizeBytes / 1e6)} MB`, "MB/s", ends, (end) =>
        megabytesPerSecond(end, large!, sizeBytes),
      );
      for (const [size, digests] of small) {
        await compare(note, round, `${size / 1000} KB`, "blobs/s", ends, (end) => rateOf(end, digests, size));
      }
    });
    return { sizeBytes, figures };
  },
};

interface Ends {
  readonly registry: string;
  readonly client: string;
}

async function compare(
  note: Note,
  round: number,
  what: string,
  unit: string,
  { registry, client }: Ends,
  measure: (endpoint: string) => Promise<number>,
): Promise<void> {
  const [straight, through] = await measureEach([registry, client], round, measure);
  note({ name: `${what}, registry`, unit }, straight);
  note({ name: `${what}, client`, unit, isOurs: true }, through);
  note({ name: `${what}, client : registry`, unit: "times as fast", goal }, through / straight);
}

/** Blobs that both ends have read once, the client to hold them. */
async function cached(rig: Rig, ends: Ends, count: number, sizeBytes: number): Promise<string[]> {
  const digests: string[] = [];
  for (let nth = 0; nth < count; nth++) digests.push((await rig.freshBlob(sizeBytes)).digest);
  const file = join(rig.folder, "warm");
  for (const endpoint of [ends.registry, ends.client]) {
    for (const digest of digests) {
      await curl([{ endpoint, digest, file }]);
      await checkFile(file, digest);
    }
  }
  return digests;
}

async function megabytesPerSecond(endpoint: string, digest: string, sizeBytes: number): Promise<number> {
  const target = ["-o", "/dev/null", blobUrl(endpoint, repository, digest)];
  const targets = Array.from({ length: times }, () => target).flat();
  const env = testEnvironment();
  return (times * sizeBytes) / 1e6 / (await timed(() => execute("curl", ["-sSf", ...targets], { env })));
}

function rateOf(endpoint: string, digests: readonly string[], bodyBytes: number): Promise<number> {
  const paths = digests.map((digest) => `/v2/${repository}/blobs/${digest}`);
  return requestRate({ url: new URL(endpoint), paths, connections, seconds, bodyBytes });
}
