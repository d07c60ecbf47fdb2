/**
 * The same faults on a plain pull from the registry and on the pair: how many pulls end well, and how long they take.
 * Run by hand: `node test/fault/beside.ts [--pulls 20] [--seed 1]`.
 *
 * Every connection that crosses the faulty link meets its fault after a number of bytes that is drawn anew: that of the
 * plain pull, that of the client's uplink, and those that the client falls back to.
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { clientOptions } from "#cli/client-options.ts";
import { serverOptions } from "#cli/server-options.ts";
import { type ByteFault, startFaultyByteRelay } from "#test/support/link/faulty-byte-relay.ts";
import type { Mangle } from "#test/support/link/link.ts";
import { seededRandom } from "#test/support/seeded-random.ts";
import { blobUrl } from "#test/support/slow-reader.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { type Pull, pull } from "./pull.ts";
import { type Rig, repository, startRig } from "./rig.ts";
import { Scene, streamedBytes } from "./scene.ts";

const { values } = parseArgs({
  options: { pulls: { type: "string", default: "20" }, seed: { type: "string", default: "1" } },
});
const pulls = Number(values.pulls);
/** A try that is not over by then counts as failed; a person would have given up as well. */
const boundMs = 15_000;
/** Docker tries a layer several times. */
const tries = 3;
const kinds = ["none", "cut", "reset", "stall", "corrupt"] as const;
type Kind = (typeof kinds)[number];

interface Tally {
  atFirst: number;
  inTheEnd: number;
  /** Of those that ended well. */
  readonly ms: number[];
}

async function main(): Promise<void> {
  console.log(`${pulls} pulls of a blob of ${streamedBytes / 1e6} MB for each, ${tries} tries, seed ${values.seed}`);
  console.log(line(["fault", "way", "right at once", `right in ${tries}`, "median ms", "slowest ms"]));
  const ways = ["plain", "pair", ...(canAnchor ? ["pair, anchor"] : [])];
  for (const kind of kinds) for (const way of ways) report(kind, way, await measure(kind, way));
}

const canAnchor = "anchor" in clientOptions && "exportAnchor" in serverOptions;

async function measure(kind: Kind, way: string): Promise<Tally> {
  await using folder = await makeTemporaryFolder();
  const random = seededRandom(Number(values.seed));
  const draw = (): ByteFault | undefined =>
    kind === "none" ? undefined : { kind, afterBytes: 1_000 + Math.floor(random() * 2 * streamedBytes) };
  const link = { registry: { host: "127.0.0.1", port: 0 } };
  await using relay = await startFaultyByteRelay(link.registry, draw);
  await using rig = await startRig({
    folder: folder.path,
    upstreamUrl: `http://127.0.0.1:${relay.port}`,
    isAnchored: way === "pair, anchor",
  });
  link.registry.port = Number(rig.upstream.url.port);
  const scene = new Scene(rig, `${kind} beside`, Number(values.seed));
  const tally: Tally = { atFirst: 0, inTheEnd: 0, ms: [] };
  for (let i = 0; i < pulls; i++) {
    const digest = scene.freshBlob(streamedBytes);
    const plainUrl = blobUrl(`http://127.0.0.1:${relay.port}`, repository, digest);
    const once = () => (way === "plain" ? pull(plainUrl, digest, { boundMs }) : pullOverPair(rig, digest, draw));
    count(tally, await withTries(once));
    scene.forget();
  }
  return tally;
}

async function withTries(once: () => Promise<Pull>): Promise<Pull[]> {
  const done: Pull[] = [];
  while (done.length < tries && done.at(-1)?.outcome !== "right") {
    if (done.length > 0) await delay(200);
    done.push(await once());
  }
  return done;
}

async function pullOverPair(rig: Rig, digest: string, draw: () => ByteFault | undefined): Promise<Pull> {
  rig.relay.down = { mangle: afterBytes(rig, draw()) };
  const done = await pull(rig.urlOf(digest), digest, { boundMs });
  if (!rig.relay.isReading) rig.relay.cut(); // the dead connection is noticed sooner or later
  rig.calm();
  return done;
}

/** The fault of a byte stream for the uplink's. */
function afterBytes(rig: Rig, fault: ByteFault | undefined): Mangle {
  let left = fault?.afterBytes ?? Number.POSITIVE_INFINITY;
  return (packet) => {
    left -= packet.length;
    if (fault === undefined || left > 0) return undefined;
    left = Number.POSITIVE_INFINITY;
    if (fault.kind === "corrupt") {
      packet[packet.length >> 1]! ^= 0xff;
      return { onward: [packet] };
    }
    if (fault.kind === "stall") {
      rig.relay.isReading = false;
      rig.relay.up = rig.relay.down = { loss: 1 };
    } else rig.relay.cut();
    return { onward: [] };
  };
}

function count(tally: Tally, done: readonly Pull[]): void {
  if (done[0]?.outcome === "right") tally.atFirst += 1;
  if (done.at(-1)?.outcome !== "right") return;
  tally.inTheEnd += 1;
  tally.ms.push(done.reduce((sum, { ms }) => sum + ms, 0));
}

function report(kind: Kind, way: string, { atFirst, inTheEnd, ms }: Tally): void {
  const sorted = ms.toSorted((a, b) => a - b);
  const share = (n: number) => `${Math.round((100 * n) / pulls)} %`;
  const times = [sorted[sorted.length >> 1] ?? "-", sorted.at(-1) ?? "-"];
  console.log(line([kind, way, share(atFirst), share(inTheEnd), ...times]));
}

function line(cells: readonly (string | number)[]): string {
  return cells.map((cell, i) => (i < 2 ? String(cell).padEnd(13) : String(cell).padStart(14))).join(" ");
}

await main();
