/**
 * The first segments of an object, asked for together with its metadata, when only its likely name is known: a blob then
 * begins after one round trip instead of two. What comes is kept until a fetch takes it over.
 */
import type { Face } from "../face/face.ts";
import { DataFields } from "../packet/data.ts";
import { interestLifetimeMs, SegmentInterestTemplate } from "../packet/interest.ts";
import { type Name, nameKey } from "../packet/name.ts";
import { PacketView } from "../packet/packet-view.ts";
import type { PrefixPath } from "./prefix-path.ts";
import type { SegmentFetch } from "./segment-fetch.ts";

/** What is asked for early: of an object that may not exist, segments that it may not have. */
export interface EarlyRequest {
  readonly object: Name;
  readonly hint: Name;
  /** The path to who answers for it. @defaultValue one that all without share */
  readonly path?: PrefixPath;
  readonly firstSegment: number;
  /** Segments at most. */
  readonly count: number;
}

/** Over one uplink, asked for or kept: 2 MiB of 8192 bytes each. */
const maxSegments = 256;

/** Those of all objects over one uplink. */
export class EarlyRequests {
  readonly #byName = new Map<string, EarlySegments>();
  #segments = 0;

  /**
   * Send Interests, once; undefined when there is no room or the object's are asked for already. It ends when a fetch
   * takes it over, when `signal` fires, or when an Interest's lifetime is over.
   */
  ask(request: EarlyRequest, path: PrefixPath, face: Face, nowMs: number, signal: AbortSignal) {
    const { object, hint, firstSegment } = request;
    const room = Math.max(1, path.control.size - path.load.onPath);
    const count = Math.min(request.count, room, maxSegments - this.#segments);
    const key = nameKey(object);
    if (count <= 0 || this.#byName.has(key)) return undefined;
    path.load.onPath += count;
    this.#segments += count;
    const early: EarlySegments = new EarlySegments(path, firstSegment, count, nowMs, () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", early.end);
      this.#byName.delete(key);
      path.load.onPath -= early.missing;
      this.#segments -= count;
    });
    const timer = setTimeout(early.end, interestLifetimeMs).unref();
    signal.addEventListener("abort", early.end);
    this.#byName.set(key, early);
    const template = new SegmentInterestTemplate(object, hint);
    for (let n = firstSegment; n < firstSegment + count; n++) {
      const at = face.reserve(template.maxBytes);
      face.commit(template.write(face.buffer, at, n));
    }
    return early;
  }

  /** Those of the object that this packet is a segment of. */
  find(view: PacketView): EarlySegments | undefined {
    return view.findObject(this.#byName);
  }

  /** The face is down: nothing comes any more. */
  end(): void {
    for (const early of this.#byName.values()) early.end();
  }
}

/** Those of one object. */
export class EarlySegments {
  readonly path: PrefixPath;
  readonly firstSegment: number;
  readonly sentAtMs: number;
  /** How many have not come. */
  missing: number;
  readonly #endSegment: number;
  readonly #kept: (KeptSegment | undefined)[] = [];
  #onEnd: (() => void) | undefined;

  constructor(path: PrefixPath, firstSegment: number, count: number, nowMs: number, onEnd: () => void) {
    this.path = path;
    this.firstSegment = firstSegment;
    this.#endSegment = firstSegment + count;
    this.sentAtMs = nowMs;
    this.missing = count;
    this.#onEnd = onEnd;
  }

  /** Keep a copy of a segment that was asked for and is not there. */
  keep({ segmentNumber: n, buf, start, end }: PacketView, nowMs: number): void {
    if (n < this.firstSegment || n >= this.#endSegment || this.#of(n)) return;
    this.#kept[n - this.firstSegment] = { packet: Buffer.from(buf.subarray(start, end)), arrivedAtMs: nowMs };
    this.missing--;
    this.path.load.onPath--;
    this.path.answered({ sentAtMs: this.sentAtMs, lagMs: 0, isFar: false, hadWaited: false }, nowMs);
  }

  /**
   * Hand all to a fetch that has asked for nothing yet: it is as if it had asked for them. What it has no use for is
   * dropped.
   */
  handTo(fetch: SegmentFetch, nowMs: number): void {
    const isOfUse = this.#onEnd !== undefined && fetch.what.firstSegment === this.firstSegment;
    let next = this.firstSegment;
    while (isOfUse && next < this.#endSegment && fetch.takeNext(this.sentAtMs) === next) next++;
    for (let n = this.firstSegment; n < next; n++) this.#deliver(fetch, n);
    // What a later one has overtaken is lost, and what has been on its way for so long.
    let isLost = nowMs - this.sentAtMs > fetch.asked.rtt.rtoMs;
    for (let n = next - 1; n >= this.firstSegment; n--) {
      if (this.#of(n)) isLost = true;
      else if (isLost) fetch.asked.lose(n);
    }
    fetch.progressAtMs = nowMs;
    this.end();
  }

  #deliver(fetch: SegmentFetch, n: number): void {
    const kept = this.#of(n);
    const [view, fields] = [new PacketView(), new DataFields()];
    if (kept === undefined || !view.read(kept.packet, 0, kept.packet.length) || !fields.read(view)) return;
    view.segmentNumber = n;
    fetch.arrived(n, view, fields, kept.arrivedAtMs);
  }

  #of(n: number): KeptSegment | undefined {
    return this.#kept[n - this.firstSegment];
  }

  /** Drop everything. */
  readonly end = (): void => {
    const onEnd = this.#onEnd;
    this.#onEnd = undefined;
    onEnd?.();
    this.#kept.length = 0;
  };
}

/** A Data, and when it came. */
interface KeptSegment {
  readonly packet: Buffer;
  readonly arrivedAtMs: number;
}
