/**
 * The uplinks as paths to one registry, and what is wrong with a path.
 */
import { connectionReason } from "#base/connection-reason.ts";
import type { NdnSource } from "#blob/ndn-source.ts";
import type { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import type { InterestClient } from "#ndn/consumer/interest-client.ts";
import type { Uplink } from "#ndn/face/uplink.ts";
import { readableName } from "#ndn/packet/name.ts";
import { type Probe, type ProbeOutcome, probeRegistry } from "./registry-probe.ts";
import type { Turns } from "./turns.ts";
import type { UplinkChoice } from "./uplink-choice.ts";

/** An uplink, and what sends over it. */
export interface Path {
  readonly uplink: Uplink;
  readonly consumer: SegmentConsumer;
  readonly interests: InterestClient;
  readonly turns: Turns;
  /** Why it could not be connected the last time. */
  readonly failed: { reason?: Error };
}

/** Blobs of one registry over one uplink. */
export interface PathToRegistry extends Path {
  readonly source: NdnSource;
  readonly probe: Probe;
  /** Whether the server has ever answered a probe here: others than ours may not, and still have blobs. */
  hasAnswered: boolean;
  /** What the last probe found. */
  lastReach: ProbeOutcome | undefined;
}

/** What was found of a registry over one uplink. */
export type NdnReach = ProbeOutcome | { readonly state: "down"; readonly reason: string };

/** Ask for the registry's server over one uplink, if that is up. */
export async function reachOver(
  path: PathToRegistry,
  choice: UplinkChoice<PathToRegistry>,
  signal: AbortSignal,
): Promise<NdnReach> {
  if (path.uplink.face === undefined) return { state: "down", reason: downReason(path) };
  const found = await probeRegistry(path.probe, signal);
  if (found.state === "answers") path.hasAnswered = true;
  const reach = found.state === "silent" && !isSilence(path, choice) ? ({ state: "unknown" } as const) : found;
  path.lastReach = reach;
  return reach;
}

/** Whether a probe that was not answered says that no one is there: blobs may come from a server that takes none. */
function isSilence(path: PathToRegistry, choice: UplinkChoice<PathToRegistry>): boolean {
  return path.hasAnswered || !choice.isInUse(path);
}

/** Why blobs of the registry cannot be read over this uplink now; undefined when they can, as far as is known. */
export function troubleOf(path: PathToRegistry, choice: UplinkChoice<PathToRegistry>): string | undefined {
  const { uplink, lastReach, probe } = path;
  if (path.uplink.face === undefined) return downReason(path);
  if (lastReach?.state === "silent" && isSilence(path, choice)) return lastReach.reason;
  if (choice.isUsable(path)) return undefined;
  return `no one answers for ${readableName(probe.prefix)} on uplink ${uplink.describe}`;
}

/** Of an uplink that is down. */
export function downReason({ uplink: { describe }, failed: { reason } }: Path): string {
  if (reason === undefined) return `uplink ${describe} is down`;
  return `uplink ${describe} is down: ${connectionReason(reason) ?? reason.message}`;
}
