/**
 * What two clients get of a link that one of them had for itself for ten seconds.
 */
import { setTimeout as delay } from "node:timers/promises";
import { blobBytes, type RunningProgram } from "#test/support/running-program.ts";
import { layBlobs } from "../load/blobs.ts";
import { type BenchLink, linkName, waysOf } from "./link.ts";
import { startLinkClient, startLinkRig } from "./rig.ts";
import type { Row, RowRound } from "./row.ts";
import { take } from "./take.ts";

/** The first one alone; both until they have come to terms; both while it is measured. */
const seconds = { alone: 10, settling: 10, measured: 10 } as const;
const goal = { needed: 0.35, aim: 0.45 };

/** The row. */
export function secondClientRow(link: BenchLink): Row {
  return { name: `${linkName(link)}, a second client joins`, measure: (round) => measure(link, round) };
}

async function measure(link: BenchLink, round: RowRound): Promise<void> {
  const { rig, uplink } = await startLinkRig(round.place, "direct face", waysOf(link), round.owned);
  const clients = [await startLinkClient(rig, "first", uplink), await startLinkClient(rig, "second", uplink)];
  const allSeconds = seconds.alone + seconds.settling + seconds.measured;
  const blobs = await layBlobs(rig.registry.storage, 2, (allSeconds * link.bitsPerSecond) / 8, "thin");
  const reading = clients.map(async ({ url }, nth) => {
    const waitSeconds = nth * seconds.alone;
    await delay(1_000 * waitSeconds);
    return take(rig.folder, url, [blobs[nth]!], allSeconds - waitSeconds);
  });
  await delay(1_000 * (seconds.alone + seconds.settling));
  const before = await Promise.all(clients.map(ndnBytes));
  await Promise.all(reading);
  const [first, second] = (await Promise.all(clients.map(ndnBytes))).map((bytes, nth) => bytes - before[nth]!);
  const sum = first! + second!;
  round.note({ name: "the smaller part", unit: "of both", goal }, Math.min(first!, second!) / sum);
  round.note({ name: "the second's part", unit: "of both" }, second! / sum);
  round.note({ name: "both", unit: "of the link" }, (sum * 8) / seconds.measured / link.bitsPerSecond);
}

async function ndnBytes(client: RunningProgram): Promise<number> {
  return (await blobBytes(client)).ndn;
}
