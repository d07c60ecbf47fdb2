/**
 * How long the first byte of a cold blob takes across a link.
 */
import { setTimeout as delay } from "node:timers/promises";
import { untilFirstByte } from "../first-byte.ts";
import { type BenchLink, linkName, waysOf } from "./link.ts";
import { startLinkClient, startLinkRig } from "./rig.ts";
import type { Row, RowRound } from "./row.ts";

/** One that is not checked as a whole before its first byte. */
const sizeBytes = 20_000_000;
const blobs = 10;
/** The rest of a blob comes after its reader has gone, and the next one is not to wait for it. */
const restMs = 1_500;
/** Beyond a round trip. */
const neededMs = 30;

/** The row; the upstream, which says whether the puller may have the blob, is not behind the link. */
export function firstByteRow(link: BenchLink): Row {
  return { name: `${linkName(link)}, first byte`, measure: (round) => measure(link, round) };
}

async function measure(link: BenchLink, { place, owned, note }: RowRound): Promise<void> {
  const { rig, uplink } = await startLinkRig(place, "direct face", waysOf(link), owned);
  const client = await startLinkClient(rig, "client", uplink);
  const goal = { needed: link.rttMs + neededMs, aim: link.rttMs + neededMs / 2 };
  for (let blob = 0; blob < blobs; blob++) {
    note({ name: "first byte", unit: "ms", goal }, await untilFirstByte(rig, client.url, sizeBytes, "ndn"));
    await delay(restMs);
  }
}
