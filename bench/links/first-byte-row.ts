/**
 * How long the first byte of a cold blob takes across a link.
 */
import { untilFirstByte } from "../first-byte.ts";
import { type BenchLink, linkName, waysOf } from "./link.ts";
import { startLinkClient, startLinkRig } from "./rig.ts";
import type { Row, RowRound } from "./row.ts";

/** Small: what is left of a blob still comes after its reader has gone, beside the next one. */
const sizeBytes = 1_000_000;
const blobs = 10;
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
  }
}
