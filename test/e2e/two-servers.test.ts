/** Two servers answer for one prefix; either may be killed at any moment of a pull, and no pull notices. */
import { beforeAll, expect, test } from "vitest";
import { pushBlob } from "#test/support/oci-push.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { blobBytes, payloadSent, type RunningProgram } from "#test/support/running-program.ts";
import { seededRandom } from "#test/support/seeded-random.ts";
import { blobUrl, openSlowly } from "#test/support/slow-reader.ts";
import { useStage } from "#test/support/stage.ts";
import { startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/two";
const seed = 20;
const kills = 6;
const mebibyte = 1024 * 1024;

/** One pull across the death of a server. */
interface Pull {
  readonly killed: string;
  readonly sizeMiB: number;
  readonly atMiB: number;
  /** What the server had sent of this blob when it was killed. */
  readonly byKilledMiB: number;
  readonly ndnMiB: number;
  readonly upstreamMiB: number;
  readonly ms: number;
  /** From the kill to the end. */
  readonly msAfter: number;
}

describeWith(wholePathPrograms, "two servers under one prefix", () => {
  const stage = useStage();
  const random = seededRandom(seed);
  const servers = new Map<string, RunningProgram>();
  let path: WholePath;

  beforeAll(async () => {
    path = await startWholePath(stage);
    servers.set("server", path.server);
    servers.set("second", await path.anotherServer("second"));
  }, 60_000);

  async function replaceKilled(): Promise<void> {
    for (const [name, { process }] of servers) {
      if (process.exit !== undefined) servers.set(name, await path.anotherServer(name));
    }
  }

  /** Pull a blob that nobody has seen, and kill the server when so many of its bytes have been read. */
  async function pullAcrossDeath(killed: string, n: number): Promise<Pull> {
    const sizeBytes = Math.floor((30 + 30 * random()) * mebibyte);
    const atBytes = Math.floor(random() * sizeBytes);
    const { digest } = await pushBlob(path.registry.url, repository, randomBytesOf(`two ${seed} ${n}`, sizeBytes));
    const before = await blobBytes(path.client);
    const sentBefore = await payloadSent(servers.get(killed)!);
    const begin = performance.now();
    const reader = await openSlowly(blobUrl(path.client.url, repository, digest));
    await reader.read(atBytes);
    const sent = (await payloadSent(servers.get(killed)!)) - sentBefore;
    const killedAt = performance.now();
    await servers.get(killed)!.process.kill();
    expect(await reader.finish()).toEqual({ digest, sizeBytes, isComplete: true });
    const ended = performance.now();
    const after = await blobBytes(path.client);
    expect(after.ndn + after.upstream - before.ndn - before.upstream).toBe(sizeBytes);
    return {
      killed,
      sizeMiB: inMiB(sizeBytes),
      atMiB: inMiB(atBytes),
      byKilledMiB: inMiB(sent),
      ndnMiB: inMiB(after.ndn - before.ndn),
      upstreamMiB: inMiB(after.upstream - before.upstream),
      ms: Math.round(ended - begin),
      msAfter: Math.round(ended - killedAt),
    };
  }

  test("either is killed in the middle of a pull, again and again: every blob is right", {
    timeout: 60_000,
  }, async () => {
    const pulls: Pull[] = [];
    for (let n = 0; n < kills; n++) {
      await replaceKilled();
      pulls.push(await pullAcrossDeath(n % 2 === 0 ? "server" : "second", n));
    }
    console.table(pulls);
    expect(byKilledMiB(pulls)).toBeGreaterThan(0); // else only idle servers were killed
    expect(pulls).toHaveLength(kills);
  });
});

function byKilledMiB(pulls: readonly Pull[]): number {
  return pulls.reduce((total, pull) => total + pull.byKilledMiB, 0);
}

function inMiB(bytes: number): number {
  return Math.round((10 * bytes) / mebibyte) / 10;
}
