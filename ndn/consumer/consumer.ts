/**
 * Fetches segmented objects over one uplink: one congestion window for all under one prefix, shared fairly.
 *
 * A fetch has at most its share of the window in flight, so that those that the server lets wait do not take that of the
 * others. What waits there leaves the window: an Interest that another one, sent clearly later, has overtaken on the
 * uplink is not on the path any more.
 *
 * Hot path: the window is filled once per batch of arrivals, with many Interests per write, and a coarse timer looks
 * for losses; nothing is allocated per segment, and only fetches that have something to ask are looked at
 * (`npm run bench`, row "server, ndnd, client").
 */

import type { PacketHandler } from "../face/face.ts";
import type { Uplink } from "../face/uplink.ts";
import { DataFields } from "../packet/data.ts";
import { nameKey } from "../packet/name.ts";
import { nackReasons, type PacketView } from "../packet/packet-view.ts";
import { TT } from "../packet/tlv.ts";
import { type EarlyRequest, EarlyRequests, type EarlySegments } from "./early-segments.ts";
import { FetchMemory } from "./fetch-memory.ts";
import { FetchFailed, type ObjectToFetch } from "./object-to-fetch.ts";
import { PrefixPath } from "./prefix-path.ts";
import { SegmentFetch } from "./segment-fetch.ts";
import { isStalled } from "./stall.ts";

/** Settings of a consumer. */
export interface ConsumerOptions {
  /** Interests in flight at most, over all objects of a path. @defaultValue what the memory has room for */
  readonly maxWindow?: number | undefined;
  /**
   * No segment of an object for this long ends its fetch; undefined: four RTOs, at least 2 s, and 15 s while its server
   * answers for others.
   */
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
/** Until more may be sent, where the pace is the limit: the shortest that a timer takes. */
const paceMs = 1;

/** Where Interests of fetches go out, seen by the consumer. */
type Outlet = Pick<Uplink, "face">;

/** All fetches over one uplink. */
export class SegmentConsumer implements PacketHandler {
  readonly counters: ConsumerCounters = { interests: 0, retransmissions: 0, segments: 0, congestionMarks: 0, nacks: 0 };
  readonly #outlet: Outlet;
  readonly #memory: FetchMemory;
  readonly #options: ConsumerOptions;
  readonly #fields = new DataFields();
  readonly #fetches: SegmentFetch[] = [];
  readonly #byName = new Map<string, SegmentFetch[]>();
  readonly #early = new EarlyRequests();
  /** Of the objects without one, */
  readonly #ownPath: PrefixPath;
  /** those with fetches, */
  readonly #paths = new Set<PrefixPath>();
  /** and the one that was used last. */
  #latest: PrefixPath;
  #timer: NodeJS.Timeout | undefined;
  #paceTimer: NodeJS.Timeout | undefined;
  #fillScheduled = false;

  /** @param memory - Of what has been asked for and not taken; consumers may share it. */
  constructor(outlet: Outlet, options: ConsumerOptions = {}, memory = new FetchMemory()) {
    this.#outlet = outlet;
    this.#memory = memory;
    this.#options = options;
    this.#ownPath = this.#latest = this.newPath();
  }

  /** A path for the objects under one prefix. */
  newPath(): PrefixPath {
    return new PrefixPath({ maxWindow: this.#options.maxWindow ?? this.#memory.segments });
  }

  /** The path that was used last. */
  get path(): PrefixPath {
    return this.#latest;
  }

  /** Interests in flight over all fetches. */
  get inflight(): number {
    let sum = 0;
    for (const { load } of this.#paths) sum += load.onPath + load.waiting;
    return sum;
  }

  /**
   * Fetches that have something to ask and room to put it: they would use more of the window. Those whose reader is the
   * slow one, whose server is silent, or that have asked for everything are not among them.
   */
  get hungry(): number {
    let sum = 0;
    for (const { share } of this.#paths) sum += share.size;
    return sum;
  }

  /**
   * Ask for the first segments of an object before anything is known of it, for a `fetch` that begins soon: as many as
   * the window has room for, and one in any case. Undefined when that is of no use.
   */
  askEarly(request: EarlyRequest, signal: AbortSignal): EarlySegments | undefined {
    const { face } = this.#outlet;
    if (face === undefined || this.#byName.has(nameKey(request.object))) return undefined;
    const path = this.#use(request.path ?? this.#ownPath);
    const early = this.#early.ask(request, path, face, performance.now(), signal);
    this.counters.interests += early?.missing ?? 0;
    return early;
  }

  /**
   * Fetch an object from its first wanted segment to the last; several run at once. A piece of its bytes is valid until
   * the next one is asked for.
   * @param early - Its first segments, if they are asked for already.
   * @throws FetchFailed when no one answers, the answers stop, or the face goes down.
   */
  async *fetch(what: ObjectToFetch, signal: AbortSignal, early?: EarlySegments): AsyncGenerator<Buffer> {
    signal.throwIfAborted();
    if (this.#outlet.face === undefined) throw new FetchFailed("no face is up");
    const path = this.#use(what.path ?? this.#ownPath);
    const fetch = new SegmentFetch(what, performance.now(), path, this.#memory);
    const onAbort = () => fetch.fail(signal.reason as Error);
    signal.addEventListener("abort", onAbort);
    early?.handTo(fetch, performance.now());
    this.#add(fetch);
    try {
      yield* fetch.read(() => this.#mayAsk(fetch), signal);
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#remove(fetch);
    }
  }

  /** The face went down: everything under way ends, to continue elsewhere. */
  faceDown(reason: Error): void {
    this.#early.end();
    for (const fetch of this.#fetches)
      fetch.fail(new FetchFailed(`face went down: ${reason.message}`, { cause: reason }));
  }

  accept(view: PacketView): boolean {
    const fetches = view.findObject(this.#byName);
    if (fetches === undefined) return this.#acceptEarly(view);
    if (view.type === TT.Interest) {
      if (view.nackReason !== undefined) this.#nacked(fetches, view.nackReason);
      return true;
    }
    if (!this.#fields.read(view)) return true;
    const now = performance.now();
    this.counters.segments++;
    for (const fetch of fetches) {
      if (fetch.arrived(view.segmentNumber, view, this.#fields, now)) fetch.path.answered(fetch.asked.answer, now);
      if (!fetch.isHungry && fetch.canAsk(now)) fetch.path.share.add(fetch);
    }
    if (view.congestionMark > 0) this.#marked(fetches, now);
    this.#fillSoon();
    return true;
  }

  #acceptEarly(view: PacketView): boolean {
    const early = this.#early.find(view);
    if (early === undefined) return false;
    if (view.type === TT.Interest || !this.#fields.read(view)) return true;
    const now = performance.now();
    this.counters.segments++;
    early.keep(view, now);
    if (view.congestionMark > 0) this.#marked([early], now);
    return true;
  }

  /** On a local face the forwarder marks at a handful of queued packets: that says nothing about the path. */
  #marked(arrivals: readonly { readonly path: PrefixPath }[], now: number): void {
    this.counters.congestionMarks++;
    if (this.#outlet.face?.isLocal === true) return;
    for (const { path } of arrivals) path.control.marked(now);
  }

  #nacked(fetches: readonly SegmentFetch[], reason: number): void {
    this.counters.nacks++;
    if (nackReasons[reason] !== "NoRoute") return;
    for (const fetch of fetches) {
      if (!fetch.answered) fetch.fail(new FetchFailed("Nack: the forwarder has no route"));
    }
  }

  #use(path: PrefixPath): PrefixPath {
    this.#paths.add(path);
    this.#latest = path;
    return path;
  }

  #add(fetch: SegmentFetch): void {
    fetch.path.fetches++;
    this.#fetches.push(fetch);
    for (const key of fetch.nameKeys) {
      const others = this.#byName.get(key);
      if (others) others.push(fetch);
      else this.#byName.set(key, [fetch]);
    }
    this.#timer ??= setInterval(this.#tick, tickMs);
    this.#mayAsk(fetch);
  }

  #remove(fetch: SegmentFetch): void {
    const { path } = fetch;
    fetch.close();
    path.share.remove(fetch);
    if (--path.fetches === 0) this.#paths.delete(path);
    this.#fetches.splice(this.#fetches.indexOf(fetch), 1);
    for (const key of fetch.nameKeys) {
      const others = this.#byName.get(key)!;
      if (others.length > 1) others.splice(others.indexOf(fetch), 1);
      else this.#byName.delete(key);
    }
    if (this.#fetches.length === 0) {
      clearInterval(this.#timer);
      clearTimeout(this.#paceTimer);
      this.#timer = this.#paceTimer = undefined;
    } else this.#fillSoon();
  }

  #mayAsk(fetch: SegmentFetch): void {
    fetch.path.share.add(fetch);
    this.#fillSoon();
  }

  readonly #fillSoon = (): void => {
    if (this.#fillScheduled) return;
    this.#fillScheduled = true;
    queueMicrotask(this.#fill);
  };

  readonly #fill = (): void => {
    this.#fillScheduled = false;
    const { face } = this.#outlet;
    if (face === undefined) return;
    const now = performance.now();
    let isPaced = false;
    for (const path of this.#paths) {
      const waits = path.fill(now, (fetch, n) => {
        this.counters.interests++;
        if (fetch.asked.tries(n) > 1) this.counters.retransmissions++;
        fetch.writeInterest(n, face);
      });
      isPaced ||= waits;
    }
    if (isPaced) this.#paceTimer ??= setTimeout(this.#fillPaced, paceMs);
  };

  readonly #fillPaced = (): void => {
    this.#paceTimer = undefined;
    this.#fill();
  };

  readonly #tick = (): void => {
    const now = performance.now();
    for (const fetch of this.#fetches) {
      fetch.asked.findLost(now, fetch.path.overtakenBeforeMs, fetch.onExpired);
      if (fetch.asked.isWaiting) this.#checkSilence(fetch, now); // else the reader is the slow one
      if (fetch.canAsk(now)) fetch.path.share.add(fetch);
      if (fetch.isReadable) fetch.changes.notify();
    }
    this.#fillSoon();
  };

  #checkSilence(fetch: SegmentFetch, now: number): void {
    const silentMs = now - fetch.progressAtMs;
    const { rtoMs } = fetch.asked.rtt;
    if (silentMs > rtoMs) this.#probe(fetch, now, rtoMs);
    if (!isStalled(fetch, now, this.#options.stallTimeoutMs)) return;
    fetch.fail(new FetchFailed(`segment ${fetch.buffer.contiguous} unanswered for ${Math.round(silentMs)} ms`));
  }

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
