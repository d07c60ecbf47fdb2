/**
 * Links that say what has passed them: each in a process that is nothing else.
 */
import { DataFields } from "#ndn/packet/data.ts";
import { PacketScanner, PacketView } from "#ndn/packet/packet-view.ts";
import { maxLinkPacketBytes } from "#ndn/packet/tlv.ts";
import { type ByteRelayOptions, startByteRelay } from "#test/support/link/byte-relay.ts";
import type { LinkWatcher } from "#test/support/link/link.ts";
import { type LinkRelay, type LinkRelayOptions, startLinkRelay } from "#test/support/link/link-relay.ts";
import { Timeline, type TimelineRecord } from "./timeline.ts";

/** Printed at its end; all of it of the way down. */
export interface LinkReport {
  /** That came out. */
  readonly packets: number;
  /** Dropped because the queue was full. */
  readonly overflowed: number;
  readonly timeline: TimelineRecord;
  /** Payload of the largest Data, over all its bytes at the bottleneck; 0 when none came. */
  readonly payloadPart: number;
}

/** A relay that counts. */
export interface WatchedRelay extends AsyncDisposable {
  readonly counters: LinkReport;
}

/** Start a link for packets. */
export async function startWatchedLink(options: LinkRelayOptions): Promise<WatchedRelay> {
  const timeline = new Timeline();
  const relay = await startLinkRelay({ ...options, isAlone: true, watcher: timeline });
  return watched(relay, timeline);
}

/** Options of {@link startWatchedBytes}. */
export interface WatchedBytesOptions extends ByteRelayOptions {
  /** Whether the bytes are NDN packets, of one connection. */
  readonly isNdn: boolean;
}

/** Start a link for bytes. */
export async function startWatchedBytes({ isNdn, ...options }: WatchedBytesOptions): Promise<WatchedRelay> {
  const timeline = new Timeline();
  const watcher = isNdn ? packetsIn(timeline) : timeline;
  return watched(await startByteRelay({ ...options, isAlone: true, watcher }), timeline);
}

/** The report of a relay that is watched. */
export function watched(
  relay: AsyncDisposable & Partial<Pick<LinkRelay, "counters">>,
  timeline: Timeline,
): WatchedRelay {
  return {
    get counters() {
      return {
        packets: timeline.packets,
        overflowed: relay.counters?.overflowed ?? 0, // there is no bottleneck on the way up
        timeline: timeline.record(),
        payloadPart: payloadPartOf(timeline.largest),
      };
    },
    [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose](),
  };
}

/** Watches pieces of a stream of packets. */
function packetsIn(timeline: Timeline): LinkWatcher {
  let now = 0;
  const scanner = new PacketScanner(
    (buf, start, end) => timeline.delivered(buf.subarray(start, end), now),
    maxLinkPacketBytes,
  );
  return {
    queued: (waitMs, at) => timeline.queued(waitMs, at),
    delivered(piece, at) {
      now = at;
      scanner.push(piece);
    },
  };
}

function payloadPartOf(packet: Buffer): number {
  const [view, fields] = [new PacketView(), new DataFields()];
  if (!view.read(packet, 0, packet.length) || !fields.read(view)) return 0;
  return (fields.contentEnd - fields.contentStart) / packet.length;
}
