/**
 * A link that says what has passed it: for a process that is nothing else.
 */
import { DataFields } from "#ndn/packet/data.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import type { LinkCounters } from "#test/support/link/link.ts";
import { type LinkRelayOptions, startLinkRelay } from "#test/support/link/link-relay.ts";
import { Timeline, type TimelineRecord } from "./timeline.ts";

/** Printed at its end. */
export interface LinkReport {
  readonly counters: LinkCounters;
  /** Of the way down, like the rest. */
  readonly timeline: TimelineRecord;
  readonly packetsDown: number;
  /** Payload of the largest Data that came down, over all its bytes at the bottleneck; 0 when there was none. */
  readonly payloadPart: number;
}

/** Start it; `counters` is the whole report. */
export async function startWatchedLink(options: LinkRelayOptions): Promise<AsyncDisposable & { counters: LinkReport }> {
  const timeline = new Timeline();
  const relay = await startLinkRelay({ ...options, isAlone: true, watcher: timeline });
  return {
    get counters() {
      return {
        counters: relay.counters,
        timeline: timeline.record(),
        packetsDown: timeline.packets,
        payloadPart: payloadPartOf(timeline.largest),
      };
    },
    [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose](),
  };
}

function payloadPartOf(packet: Buffer): number {
  const [view, fields] = [new PacketView(), new DataFields()];
  if (!view.read(packet, 0, packet.length) || !fields.read(view)) return 0;
  return (fields.contentEnd - fields.contentStart) / packet.length;
}
