/**
 * A link on whose near side a cache has every second segment, as a forwarder may have that others have used before.
 */
import { nameKey } from "#ndn/packet/name.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { readNni, TT } from "#ndn/packet/tlv.ts";
import type { Mangle } from "#test/support/link/link.ts";
import { type LinkRelayOptions, startLinkRelay } from "#test/support/link/link-relay.ts";
import { Timeline } from "./timeline.ts";
import { type WatchedRelay, watched } from "./watched-link.ts";

/** Options of {@link startNearCache}. */
export interface NearCacheOptions extends LinkRelayOptions {
  /** Path of the Unix socket of a link without limits: what comes through it fills the cache. */
  readonly filler: string;
}

/** Start both links; the cache answers after the delay of the way up, past the bottleneck. */
export async function startNearCache({ filler, ...options }: NearCacheOptions): Promise<WatchedRelay> {
  const cache = new Map<string, Buffer>();
  const timeline = new Timeline();
  const own = new AsyncDisposableStack();
  const down = { mangle: fill(cache) };
  own.use(await startLinkRelay({ ...options, listen: filler, up: {}, down, isAlone: true }));
  const up = { ...options.up, mangle: answer(cache) };
  const relay = own.use(await startLinkRelay({ ...options, up, isAlone: true, watcher: timeline }));
  return watched({ counters: relay.counters, [Symbol.asyncDispose]: () => own.disposeAsync() }, timeline);
}

/** Remember Data of even segments. */
function fill(cache: Map<string, Buffer>): Mangle {
  const view = new PacketView();
  return (packet) => {
    if (isOfEvenSegment(view, packet, TT.Data)) {
      cache.set(keyOf(view), Buffer.from(packet.subarray(view.start, view.end)));
    }
    return undefined;
  };
}

/** Answer the Interests that can be; the packet relay's clients send no PIT tokens. */
function answer(cache: ReadonlyMap<string, Buffer>): Mangle {
  const view = new PacketView();
  return (packet) => {
    const found = isOfEvenSegment(view, packet, TT.Interest) ? cache.get(keyOf(view)) : undefined;
    return found && { onward: [], back: [found] };
  };
}

function isOfEvenSegment(view: PacketView, packet: Buffer, type: number): boolean {
  if (!view.read(packet, 0, packet.length) || view.type !== type || view.tokenEnd > view.tokenStart) return false;
  const { nameEnd } = view;
  for (let size = 1; size <= 4; size *= 2) {
    const at = nameEnd - 2 - size;
    if (packet[at] === TT.SegmentNameComponent && packet[at + 1] === size)
      return readNni(packet, at + 2, nameEnd) % 2 === 0;
  }
  return false;
}

function keyOf({ buf, nameStart, nameEnd }: PacketView): string {
  return nameKey(buf, nameStart, nameEnd);
}
