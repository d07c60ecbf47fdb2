/**
 * Rows that say how much of a link a cold blob over NDN fills.
 */
import { type Crossing, cross } from "./cross.ts";
import { type BenchLink, linkName, waysOf } from "./link.ts";
import { noteCrossed, noteTimeline, rateOf, shareOf } from "./notes.ts";
import type { LinkPlace } from "./rig.ts";
import type { Row, RowRound } from "./row.ts";

/** A row. */
export interface NdnRow extends Omit<Crossing, "sizeBytes"> {
  readonly name: string;
  readonly link: BenchLink;
  /** Share of the payload's rate. */
  readonly needed: number;
  /** What counts as the whole rate, over the link's. @defaultValue 1 */
  readonly times?: number;
  /** Share of the packets that the link may drop because its queue is full. @defaultValue any */
  readonly neededDrops?: number;
  /** How many round-trip times a packet may wait for the bottleneck. @defaultValue any */
  readonly neededWait?: number;
}

/** A cell of the table of links. */
export function lossRow(place: LinkPlace, link: BenchLink, loss: number, needed: number): Row {
  return ndnRow({ name: lossName(place, link, loss), place, link, ways: waysOf(link, { loss }), needed });
}

/** Its name. */
export function lossName(place: LinkPlace, link: BenchLink, loss: number): string {
  return `${linkName(link)}, ${loss * 100} % lost, ${place}`;
}

/** What the same programs, relay included, do on a link without limits. */
export function unlimitedRow(place: LinkPlace): Row {
  return {
    name: `no limits, ${place}`,
    async measure({ unlimited, note }) {
      const rate = await unlimited(place);
      note({ name: "rate", unit: "MB/s" }, rate / 8e6);
      note({ name: "of a payload's Gbit/s", unit: "" }, rate / 1e9);
    },
  };
}

/** Any row. */
export function ndnRow(row: NdnRow): Row {
  return { name: row.name, measure: (round) => measure(row, round) };
}

async function measure(row: NdnRow, round: RowRound): Promise<void> {
  const { link, neededDrops, neededWait, times = 1 } = row;
  const crossed = await cross({ ...row, sizeBytes: link.sizeBytes }, round);
  const { note } = round;
  const share = shareOf(crossed, link.bitsPerSecond * times);
  round.progress(`${share.toFixed(3)} of the link`);
  const reachable = (share / rateOf(crossed)) * (await reachableRate(row, round));
  const needed = Math.min(row.needed, 0.9 * reachable);
  note({ name: "share", unit: "", goal: { needed, aim: Math.max(needed, 0.95) } }, share);
  note({ name: "asked for", unit: "" }, row.needed);
  if (reachable < Number.POSITIVE_INFINITY) note({ name: "reachable", unit: "" }, reachable);
  noteCrossed(note, crossed, neededDrops === undefined ? undefined : { needed: 100 * neededDrops, aim: 0 });
  if (neededWait !== undefined) {
    const longest = Math.max(...crossed.link.timeline.waitMs);
    note(
      { name: "waited at most", unit: "RTT", goal: { needed: neededWait, aim: neededWait / 2 } },
      longest / link.rttMs,
    );
  }
  noteTimeline(note, crossed, link);
}

/** Two cores may be too few for server, relay, client and reader, whatever the link. */
function reachableRate({ link, place }: NdnRow, { unlimited }: RowRound): Promise<number> {
  return link.bitsPerSecond < 1e9 ? Promise.resolve(Number.POSITIVE_INFINITY) : unlimited(place);
}
