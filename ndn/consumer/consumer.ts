/**
 * Fetches segmented objects over one uplink: one congestion window for all of them, shared fairly.
 *
 * Hot path: the window is filled once per batch of arrivals, with many Interests per write, and a coarse timer looks
 * for losses; nothing is allocated per segment (`npm run bench`, row "server, ndnd, client").
 */

import type { PacketHandler } from "../face/face.ts";
import type { Uplink } from "../face/uplink.ts";
import { DataFields } from "../packet/data.ts";
import { nackReasons, type PacketView } from "../packet/packet-view.ts";
import { TT } from "../packet/tlv.ts";
import { CongestionWindow, RttEstimator } from "./congestion-window.ts";
import { FetchFailed, type ObjectToFetch } from "./object-to-fetch.ts";
import { SegmentFetch } from "./segment-fetch.ts";

/** Settings of a consumer. */
export interface ConsumerOptions {
  /** Interests in flight at most, over all objects. */
  readonly maxWindow: number;
  /** No segment of an object for this long ends its fetch; undefined: four RTOs, at least 2 s. */
  readonly stallTimeoutMs?: number | undefined;
}

/** What has happened since the start. */
export interface ConsumerCounters {
  interests: number;
  retransmissions: number;
  segments: number;
  congestionMarks: number;
  nacks: number;
}

const tickMs = 10;
const minStallMs = 2_000;
/** Answers may overtake each other by this much, or by a quarter of the RTT, without the earlier one being lost. */
const minReorderingMs = 4;

/** Where Interests of fetches go out, seen by the consumer. */
type Outlet = Pick<Uplink, "face">;

/** All fetches over one uplink. */
export class SegmentConsumer implements PacketHandler {
  readonly counters: ConsumerCounters = { interests: 0, retransmissions: 0, segments: 0, congestionMarks: 0, nacks: 0 };
  readonly rtt = new RttEstimator();
  readonly window: CongestionWindow;
  readonly #outlet: Outlet;
  readonly #options: ConsumerOptions;
  readonly #fields = new DataFields();
  readonly #fetches: SegmentFetch[] = [];
  readonly #byName = new Map<string, SegmentFetch[]>();
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;
  #fillScheduled = false;
  /** Latest time of asking among what has been answered: older unanswered Interests have been overtaken. */
  #newestAnsweredMs = 0;

  constructor(outlet: Outlet, options: ConsumerOptions) {
    this.#outlet = outlet;
    this.#options = options;
    this.window = new CongestionWindow({ maxWindow: options.maxWindow });
  }

  /** Interests in flight over all fetches. */
  get inflight(): number {
    let sum = 0;
    for (const fetch of this.#fetches) sum += fetch.inflight;
    return sum;
  }

  /**
   * Fetch an object from its first wanted segment to the last; several run at once. A piece of its bytes is valid until
   * the next one is asked for.
   * @throws FetchFailed when no one answers, the answers stop, or the face goes down.
   */
  async *fetch(what: ObjectToFetch, signal: AbortSignal): AsyncGenerator<Buffer> {
    const fetch = new SegmentFetch(what, performance.now());
    const onAbort = () => fetch.fail(signal.reason as Error);
    signal.throwIfAborted();
    if (this.#outlet.face === undefined) throw new FetchFailed("no face is up");
    signal.addEventListener("abort", onAbort);
    this.#add(fetch);
    try {
      yield* fetch.read(this.#fillSoon, signal);
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#remove(fetch);
    }
  }

  /** The face went down: everything under way ends, to continue elsewhere. */
  faceDown(reason: Error): void {
    for (const fetch of this.#fetches)
      fetch.fail(new FetchFailed(`face went down: ${reason.message}`, { cause: reason }));
  }

  accept(view: PacketView): boolean {
    const fetches = view.findObject(this.#byName);
    if (fetches === undefined) return false;
    if (view.type === TT.Interest) {
      if (view.nackReason !== undefined) this.#nacked(fetches, view.nackReason);
      return true;
    }
    if (!this.#fields.read(view)) return true;
    const now = performance.now();
    this.counters.segments++;
    for (const fetch of fetches) this.#deliver(fetch, view.segmentNumber, view, now);
    if (view.congestionMark > 0) this.#marked(now);
    this.#fillSoon();
    return true;
  }

  #deliver(fetch: SegmentFetch, n: number, view: PacketView, now: number): void {
    const sentAt = fetch.arrived(n, view, this.#fields, now);
    if (sentAt === undefined) return;
    const rttMs = sentAt > 0 ? now - sentAt : undefined;
    if (rttMs !== undefined) {
      this.rtt.sample(rttMs);
      this.#newestAnsweredMs = Math.max(this.#newestAnsweredMs, sentAt);
    }
    this.window.delivered(now, rttMs, this.inflight);
  }

  /** On a local face the forwarder marks at a handful of queued packets: that says nothing about the path. */
  #marked(now: number): void {
    this.counters.congestionMarks++;
    if (this.#outlet.face?.isLocal !== true) this.window.marked(now);
  }

  #nacked(fetches: readonly SegmentFetch[], reason: number): void {
    this.counters.nacks++;
    if (nackReasons[reason] !== "NoRoute") return;
    for (const fetch of fetches) {
      if (!fetch.answered) fetch.fail(new FetchFailed("Nack: the forwarder has no route"));
    }
  }

  #add(fetch: SegmentFetch): void {
    this.#fetches.push(fetch);
    for (const key of fetch.nameKeys) {
      const others = this.#byName.get(key);
      if (others) others.push(fetch);
      else this.#byName.set(key, [fetch]);
    }
    this.#timer ??= setInterval(this.#tick, tickMs);
    this.#fillSoon();
  }

  #remove(fetch: SegmentFetch): void {
    this.#fetches.splice(this.#fetches.indexOf(fetch), 1);
    for (const key of fetch.nameKeys) {
      const others = this.#byName.get(key)!;
      if (others.length > 1) others.splice(others.indexOf(fetch), 1);
      else this.#byName.delete(key);
    }
    if (this.#fetches.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else this.#fillSoon();
  }

  readonly #fillSoon = (): void => {
    if (this.#fillScheduled) return;
    this.#fillScheduled = true;
    queueMicrotask(this.#fill);
  };

  /** Ask round robin, one segment of each fetch at a time, until the window is full. */
  readonly #fill = (): void => {
    this.#fillScheduled = false;
    const fetches = this.#fetches;
    const { face } = this.#outlet;
    if (face === undefined || fetches.length === 0) return;
    const now = performance.now();
    let room = this.window.size - this.inflight;
    let idle = 0;
    while (room > 0 && idle < fetches.length) {
      this.#turn = (this.#turn + 1) % fetches.length;
      const fetch = fetches[this.#turn]!;
      const n = fetch.failure ? -1 : fetch.nextToAsk(now);
      if (n < 0) {
        idle++;
        continue;
      }
      idle = 0;
      room--;
      this.counters.interests++;
      fetch.writeInterest(n, face);
    }
  };

  readonly #tick = (): void => {
    const now = performance.now();
    const reorderingMs = Math.max(minReorderingMs, this.rtt.smoothedMs / 4);
    for (const fetch of this.#fetches) {
      const { rtoMs } = this.rtt; // before this timeout backs it off
      const { overtaken, expired } = fetch.findLost(this.#newestAnsweredMs - reorderingMs, now - rtoMs);
      this.counters.retransmissions += overtaken + expired;
      for (let i = overtaken + expired; i > 0; i--) this.window.lost(now);
      if (expired > 0) this.rtt.timedOut(now);
      const stallMs = this.#options.stallTimeoutMs ?? Math.max(minStallMs, 4 * Math.min(1_000, this.rtt.rtoMs));
      const isWaiting = fetch.inflight + expired > 0; // else the reader is the slow one
      if (isWaiting && now - fetch.progressAtMs > rtoMs) this.#probe(fetch, now, rtoMs);
      if (isWaiting && now - fetch.progressAtMs > stallMs) {
        fetch.fail(
          new FetchFailed(
            `segment ${fetch.buffer.contiguous} unanswered for ${Math.round(now - fetch.progressAtMs)} ms`,
          ),
        );
      }
      fetch.changes.notify();
    }
    this.#fillSoon();
  };

  /** Silence for an RTO: ask for the lowest missing segment by its other name, which tells any server where to look. */
  #probe(fetch: SegmentFetch, now: number, rtoMs: number): void {
    const { face } = this.#outlet;
    if (fetch.alternative === undefined || face === undefined || now - fetch.probedAtMs < rtoMs) return;
    fetch.probed(now);
    this.counters.interests++;
    const at = face.reserve(fetch.alternative.maxBytes);
    face.commit(fetch.alternative.write(face.buffer, at, fetch.buffer.contiguous));
  }
}
