/**
 * A cold blob over NDN across a link, for a client that has done nothing before.
 */

import { sumOf } from "#test/support/metrics.ts";
import { blobBytes } from "#test/support/running-program.ts";
import { layBlobs } from "../load/blobs.ts";
import type { Way } from "../load/rig.ts";
import { countersOf } from "../relays/start.ts";
import type { LinkReport } from "../relays/watched-link.ts";
import type { Note } from "../scenario.ts";
import { startMetering, type Usage } from "../usage.ts";
import { type BenchLink, type BothWays, linkName, waysOf } from "./link.ts";
import { startLinkRig } from "./rig.ts";
import type { Row, RowRound } from "./row.ts";
import { type Taken, take } from "./take.ts";

/** What is asked for, and across what. */
export interface Crossing {
  readonly way: Way;
  readonly link: BenchLink;
  readonly ways: BothWays;
  /** At once, of the link's size in sum. @defaultValue 1 */
  readonly blobs?: number;
  /** Share of the payload's rate. */
  readonly needed: number;
  /** Share of the packets that the link may drop because its queue is full. @defaultValue any */
  readonly neededDrops?: number;
}

/** A row of the table of links. */
export function lossRow(way: Way, link: BenchLink, loss: number, needed: number): Row {
  return ndnRow(`${linkName(link)}, ${loss * 100} % lost, ${way}`, { way, link, ways: waysOf(link, loss), needed });
}

/** Any crossing. */
export function ndnRow(name: string, crossing: Crossing): Row {
  return { name, measure: (round) => measure(crossing, round) };
}

/** What the same programs, relay included, do on a link without limits. */
export function unlimitedRow(way: Way): Row {
  return {
    name: `no limits, ${way}`,
    async measure({ unlimited, note }) {
      const rate = await unlimited(way);
      note({ name: "rate", unit: "MB/s" }, rate / 8 / megabytes);
      note({ name: "of a payload's Gbit/s", unit: "" }, rate / 1e9);
    },
  };
}

async function measure(crossing: Crossing, round: RowRound): Promise<void> {
  const { link, needed, way } = crossing;
  const crossed = await cross(crossing, round);
  const rate = (crossed.taken.bytes * 8) / crossed.taken.seconds;
  const share = rate / (link.bitsPerSecond * crossed.report.payloadPart);
  round.progress(`${share.toFixed(3)} of the link`);
  const unlimited = share < needed && link.bitsPerSecond >= 1e9 ? await round.unlimited(way) : undefined;
  // Two cores may be too few for server, link, client and reader, whatever the link.
  const enough = unlimited === undefined ? needed : Math.min(needed, (0.9 * unlimited) / link.bitsPerSecond);
  round.note({ name: "share", unit: "", goal: { needed: enough, aim: Math.max(enough, 0.95) } }, share);
  round.note({ name: "needed of the link", unit: "" }, needed);
  if (unlimited !== undefined) round.note({ name: "of unlimited", unit: "" }, rate / unlimited);
  noteCrossing(crossing, crossed, round.note);
}

interface Crossed {
  readonly taken: Taken;
  readonly report: LinkReport;
  readonly usages: readonly Usage[];
  readonly pastNdnBytes: number;
  readonly retransmitted: number;
}

/** Bits of payload per second on a link that has no limit. */
export async function unlimitedRate(way: Way, link: BenchLink, round: RowRound): Promise<number> {
  const { taken } = await cross({ way, link, ways: { up: {}, down: {} }, needed: 0 }, round);
  return (taken.bytes * 8) / taken.seconds;
}

async function cross({ way, link, ways, blobs = 1 }: Crossing, round: RowRound): Promise<Crossed> {
  const { rig, server, relay, client } = await startLinkRig(round.place, way, ways, round.owned);
  const sizeBytes = Math.ceil((round.sizeBytes ?? link.sizeBytes) / blobs);
  const laid = await layBlobs(rig.registry.storage, blobs, sizeBytes, "thin");
  const meter = startMetering({ server: server.process, client: client.process, link: relay });
  const taken = await take(rig.folder, client.url, laid, round.maxSeconds);
  const usages = meter();
  const { upstream } = await blobBytes(client);
  const samples = await client.metrics();
  const count = (what: string) => sumOf(samples, `ndn_registry_uplink_${what}_total`);
  for (const { process } of [client, server]) await process.stop();
  await relay.stop();
  return {
    taken,
    report: countersOf<LinkReport>(relay),
    usages,
    pastNdnBytes: upstream,
    retransmitted: count("retransmissions") / count("interests"),
  };
}

const megabytes = 1e6;
const memoryGoal = { needed: 250, aim: 200 };

function noteCrossing({ link, neededDrops }: Crossing, crossed: Crossed, note: Note): void {
  const { taken, report, usages, pastNdnBytes, retransmitted } = crossed;
  const { packetsDown, counters, timeline } = report;
  const drops = (100 * counters.overflowed) / Math.max(1, packetsDown + counters.overflowed);
  const dropsGoal = neededDrops === undefined ? {} : { goal: { needed: 100 * neededDrops, aim: 0 } };
  note({ name: "rate", unit: "MB/s" }, taken.bytes / megabytes / taken.seconds);
  note({ name: "dropped by its queue", unit: "%", ...dropsGoal }, drops);
  note({ name: "retransmitted", unit: "%" }, 100 * retransmitted);
  note({ name: "past NDN", unit: "MB", goal: { needed: 0, aim: 0 } }, pastNdnBytes / megabytes);
  for (const { name, peakBytes } of usages.slice(0, 2)) {
    note({ name, unit: "MB RSS", goal: memoryGoal }, peakBytes / megabytes);
  }
  for (const { name, cpuSeconds } of usages)
    note({ name: `CPU of ${name}`, unit: "cores" }, cpuSeconds / taken.seconds);
  for (const bytes of timeline.bytes) {
    note({ name: "in steps", unit: "Mbit/s" }, Math.round((bytes * 8) / timeline.stepMs / 10) / 100);
  }
  for (const waitMs of timeline.waitMs) note({ name: "longest wait in steps", unit: "ms" }, waitMs);
  note({ name: "steps", unit: "ms" }, timeline.stepMs);
  note({ name: "link", unit: "Mbit/s" }, link.bitsPerSecond / 1e6);
}
