/**
 * Relays between the programs that are measured.
 */
import { join } from "node:path";
import type { LinkRelayOptions } from "#test/support/link/link-relay.ts";
import { type RunningProcess, startProcess } from "#test/support/process.ts";
import { checkout } from "#test/support/programs.ts";
import type { SendTimeoutRelayOptions } from "#test/support/proxies/send-timeout-relay.ts";
import type { Rig } from "../rig.ts";
import type { NearCacheOptions } from "./near-cache.ts";
import type { WatchedBytesOptions } from "./watched-link.ts";

/** What kind of relay, and its options. */
export type RelayArguments =
  | [kind: "link", options: LinkRelayOptions]
  | [kind: "near-cache", options: NearCacheOptions]
  | [kind: "bytes", options: WatchedBytesOptions]
  | [kind: "send-timeout", options: SendTimeoutRelayOptions];

/** Start one in a process of its own; the caller stops it. */
export function startRelay(rig: Rig, ...[kind, options]: RelayArguments): Promise<RunningProcess> {
  return startProcess({
    command: process.execPath,
    args: [join(checkout, "bench/relays/main.ts"), kind, JSON.stringify(options)],
    logFile: join(rig.folder, `relay-${performance.now()}.log`),
    ready: (program) => program.log().includes("relaying"),
  });
}

/** What a relay has counted, after its end. */
export function countersOf<Counters>(relay: RunningProcess): Counters {
  return JSON.parse(relay.log().trimEnd().split("\n").at(-1)!) as Counters;
}
