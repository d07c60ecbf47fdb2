/**
 * Cold blobs over NDN across a link, for a client that has done nothing before.
 */
import { sumOf } from "#test/support/metrics.ts";
import { blobBytes, type RunningProgram } from "#test/support/running-program.ts";
import { layBlobs } from "../load/blobs.ts";
import { countersOf } from "../relays/start.ts";
import type { LinkReport } from "../relays/watched-link.ts";
import { startMetering, type Usage } from "../usage.ts";
import type { BothWays } from "./link.ts";
import { type LinkPlace, startLinkClient, startLinkRig } from "./rig.ts";
import type { RowRound } from "./row.ts";
import { type Taken, take } from "./take.ts";

/** What is asked for, and across what. */
export interface Crossing {
  readonly place: LinkPlace;
  readonly ways: BothWays;
  /** In sum. */
  readonly sizeBytes: number;
  /** At once. @defaultValue 1 */
  readonly blobs?: number;
}

/** What came of it. */
export interface Crossed {
  readonly taken: Taken;
  readonly link: LinkReport;
  /** Of server, client and link, in this order. */
  readonly usages: readonly Usage[];
  readonly pastNdnBytes: number;
  /** Share of the client's Interests. */
  readonly retransmitted: number;
  /** Segments that the client had in flight at most, every `watchWindowMs`. */
  readonly windows: readonly number[];
}

/** Do it. */
export async function cross({ place, ways, sizeBytes, blobs = 1 }: Crossing, round: RowRound): Promise<Crossed> {
  const { rig, server, relay, uplink, prepare } = await startLinkRig(round.place, place, ways, round.owned);
  const eachBytes = Math.ceil((round.sizeBytes ?? sizeBytes) / blobs);
  const laid = await layBlobs(rig.registry.storage, blobs, eachBytes, "thin");
  await prepare?.(laid);
  const client = await startLinkClient(rig, "client", uplink);
  const meter = startMetering({ server: server.process, client: client.process, link: relay });
  const windows = watchWindow(client);
  const taken = await take(rig.folder, client.url, laid, round.maxSeconds);
  const [usages, inFlight, samples] = [meter(), await windows(), await client.metrics()];
  const pastNdnBytes = (await blobBytes(client)).upstream;
  const count = (what: string) => sumOf(samples, `ndn_registry_uplink_${what}_total`);
  const retransmitted = count("retransmissions") / count("interests");
  for (const process of [client.process, server.process, relay]) await process.stop();
  const link = countersOf<LinkReport>(relay);
  return { taken, link, usages, pastNdnBytes, retransmitted, windows: inFlight };
}

/** How often a client is asked for its window: to answer takes it some milliseconds. */
export const watchWindowMs = 500;

/** Ask a client for its window until the returned function is called. */
function watchWindow(client: RunningProgram): () => Promise<number[]> {
  const asked: Promise<number>[] = [];
  const ask = async () => sumOf(await client.metrics(), "ndn_registry_uplink_window_segments");
  const timer = setInterval(() => asked.push(ask().catch(() => 0)), watchWindowMs);
  return () => {
    clearInterval(timer);
    return Promise.all(asked);
  };
}
