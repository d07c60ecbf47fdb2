/**
 * The rows of "links", in the order of their positions.
 */
import { firstByteRow } from "./first-byte-row.ts";
import { httpRow } from "./http-row.ts";
import { kernelRow } from "./kernel-row.ts";
import { type BenchLink, benchLinks, linkName, losses, waysOf } from "./link.ts";
import { lossRow, ndnRow, unlimitedRow } from "./ndn-row.ts";
import type { Row } from "./row.ts";
import { secondClientRow } from "./second-client-row.ts";

const [, gigabit10, gigabit100, usual] = benchLinks as [BenchLink, BenchLink, BenchLink, BenchLink];
const atOnce = 16;

/** All rows. */
export const linkRows: readonly Row[] = [
  ...tableOver("direct face"),
  ...tableOver("ndnd"),
  tcpFaceRow(gigabit10, 0.9),
  tcpFaceRow(gigabit100, 0.85),
  ...benchLinks.map(httpRow),
  ...benchLinks.map(manyRow),
  ...[gigabit10, gigabit100, usual].map(shortQueueRow),
  nearCacheRow(gigabit100),
  ...[gigabit100, usual].map(jitterRow),
  changingRow(usual),
  deepQueueRow(usual),
  secondClientRow(usual),
  firstByteRow(gigabit100),
  ...[gigabit10, usual].map(kernelRow),
];

/** What there is to reach without a link, and each link with each loss. */
function tableOver(place: "direct face" | "ndnd"): Row[] {
  const cells = benchLinks.flatMap((link) =>
    losses.map((loss, nth) => {
      const needed = link.needed[nth]!;
      // A forwarder costs something, and with much loss its suppression of retransmissions.
      const isHardest = link.bitsPerSecond >= 1e9 && loss === 0.05;
      return lossRow(place, link, loss, place === "direct face" ? needed : isHardest ? 0.4 : 0.9 * needed);
    }),
  );
  return [unlimitedRow(place), ...cells];
}

function tcpFaceRow(link: BenchLink, needed: number): Row {
  const place = "TCP face to ndnd";
  return ndnRow({ name: `${linkName(link)}, ${place}`, place, link, ways: waysOf(link), needed });
}

function manyRow(link: BenchLink): Row {
  const name = `${linkName(link)}, ${atOnce} blobs at once`;
  return direct({ name, link, ways: waysOf(link), blobs: atOnce, needed: 0.9 * link.needed[0] });
}

function shortQueueRow(link: BenchLink): Row {
  const name = `${linkName(link)}, queue of a quarter`;
  return direct({ name, link, ways: waysOf(link, { queueShare: 0.25 }), needed: 0.8, neededDrops: 0.02 });
}

/** Half of the segments do not cross the link. */
function nearCacheRow(link: BenchLink): Row {
  const name = `${linkName(link)}, every second segment in a near cache`;
  const { up, down } = waysOf(link);
  const ways = { up: { delayMs: 1 }, down: { ...down, delayMs: (up.delayMs ?? 0) + (down.delayMs ?? 0) - 1 } };
  return ndnRow({ name, place: "near cache", link, ways, times: 2, needed: 0.8 });
}

function jitterRow(link: BenchLink): Row {
  const { up, down } = waysOf(link);
  const ways = { up, down: { ...down, jitterMs: link.rttMs / 4 } };
  return direct({ name: `${linkName(link)}, jitter of a quarter`, link, ways, needed: 0.8 });
}

/** The rate is the mean of them. */
function changingRow(link: BenchLink): Row {
  const factors = [1, 0.5, 1, 2];
  const times = factors.reduce((sum, factor) => sum + factor, 0) / factors.length;
  const { up, down } = waysOf(link);
  const ways = { up, down: { ...down, rateChanges: { everyMs: 1_000, factors } } };
  return direct({ name: `${linkName(link)}, rate halves and doubles`, link, ways, times, needed: 0.8 });
}

function deepQueueRow(link: BenchLink): Row {
  const name = `${linkName(link)}, queue of four products`;
  return direct({ name, link, ways: waysOf(link, { queueShare: 4 }), needed: link.needed[0], neededWait: 2 });
}

function direct(row: Omit<Parameters<typeof ndnRow>[0], "place">): Row {
  return ndnRow({ ...row, place: "direct face" });
}
