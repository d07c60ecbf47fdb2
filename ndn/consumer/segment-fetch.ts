/**
 * One object that is being fetched: which segments are asked for, which are missing, and what can be handed to the reader.
 * Hot path: state of segments is kept in typed arrays indexed by number modulo capacity.
 */

import { ChangeNotifier } from "#base/waiting.ts";
import type { Face } from "../face/face.ts";
import { contentTypes, type DataFields } from "../packet/data.ts";
import { encodeInterest, SegmentInterestTemplate } from "../packet/interest.ts";
import { nameKey } from "../packet/name.ts";
import type { PacketView } from "../packet/packet-view.ts";
import { FetchFailed, type ObjectToFetch } from "./object-to-fetch.ts";
import { ReorderBuffer } from "./reorder-buffer.ts";
import { CheckedSegments, type Verdict } from "./segment-check.ts";

/** Segments between the reader and the newest Interest: the bound on memory for a slow reader (8 MiB of 8192). */
export const fetchCapacity = 1024;

/** Tries that are given up as soon as they are overtaken; a forwarder may suppress them, so the next ones wait an RTO. */
const maxEarlyTries = 3;

/** So many answers to probes count as progress, unless the object's own name is answered in between. */
const maxProbesInARow = 3;

/** Times of asking are stored as offsets from this, so that 0 can mean "not in flight". */
const never = 0;

/** State of one fetch; driven by its `SegmentConsumer`. */
export class SegmentFetch {
  readonly what: ObjectToFetch;
  /** Keys of the names that segments may come under: the object's own, and the alternative one. */
  readonly nameKeys: readonly string[];
  readonly buffer: ReorderBuffer;
  readonly alternative: SegmentInterestTemplate | undefined;
  /** Interests of this fetch in flight. */
  inflight = 0;
  /** When the last segment arrived, or the fetch began. */
  progressAtMs: number;
  /** Whether any segment arrived yet. */
  answered = false;
  /** When the alternative name was last asked. */
  probedAtMs = 0;
  /** Probes since the object's own name was answered. */
  #probesInARow = 0;
  failure: Error | undefined;
  /** Lets the reader look again: there may be bytes, or an end. */
  readonly changes = new ChangeNotifier();
  readonly #template: SegmentInterestTemplate;
  readonly #checked: CheckedSegments | undefined;
  readonly #sentAtMs = new Float64Array(fetchCapacity);
  readonly #tries = new Uint8Array(fetchCapacity);
  #next: number;
  /** Segments given up for lost, to be asked again before new ones. */
  readonly #lost: number[] = [];

  constructor(what: ObjectToFetch, nowMs: number) {
    this.what = what;
    this.nameKeys = what.alternative ? [nameKey(what.object), nameKey(what.alternative)] : [nameKey(what.object)];
    this.#next = what.firstSegment;
    this.progressAtMs = nowMs;
    this.#template = new SegmentInterestTemplate(what.object, what.hint);
    this.alternative = what.alternative && new SegmentInterestTemplate(what.alternative);
    this.buffer = new ReorderBuffer(what, fetchCapacity);
    if (!what.check) return;
    this.#checked = new CheckedSegments(what.check, what.object, fetchCapacity);
    what.check.listener = (failure) => (failure ? this.fail(failure) : this.#checkEarly());
  }

  /** The segment to ask for next; -1 when there is nothing to ask now. */
  nextToAsk(nowMs: number): number {
    while (this.#lost.length > 0) {
      const n = this.#lost.shift()!;
      if (!this.buffer.has(n) && this.#sentAtMs[n % fetchCapacity] === never) return this.#asked(n, nowMs);
    }
    if (this.#next >= this.buffer.limit) return -1;
    if (this.inflight === 0) this.progressAtMs = nowMs; // the reader was the slow one: silence counts from now
    return this.#asked(this.#next++, nowMs);
  }

  #asked(n: number, nowMs: number): number {
    this.#checked?.check.expect(n);
    const slot = n % fetchCapacity;
    this.#sentAtMs[slot] = nowMs;
    this.#tries[slot] = Math.min(255, this.#tries[slot]! + 1);
    this.inflight++;
    return n;
  }

  /** Write the Interest for a segment that `nextToAsk` named. */
  writeInterest(n: number, face: Face): void {
    const fullName = this.#checked?.fullName(n);
    if (fullName) {
      face.send(encodeInterest(fullName, this.what.hint && { forwardingHint: this.what.hint }));
      return;
    }
    const at = face.reserve(this.#template.maxBytes);
    face.commit(this.#template.write(face.buffer, at, n));
  }

  /**
   * Segment `n` arrived.
   * @returns when it was asked for; NaN when it was asked more than once; undefined when it was not wanted.
   */
  arrived(n: number, view: PacketView, fields: DataFields, nowMs: number): number | undefined {
    const { buffer } = this;
    if (n < this.what.firstSegment || n >= this.#next || buffer.has(n)) return undefined;
    const verdict = this.#judge(n, view, fields);
    if (verdict === "wrong") {
      if (this.#checked) this.#replace(n);
      return undefined;
    }
    const slot = n % fetchCapacity;
    const sentAt = this.#sentAtMs[slot]!;
    const result = this.#tries[slot] === 1 ? sentAt : Number.NaN;
    this.#settled(n);
    buffer.put(n, view.buf, fields.contentStart, fields.contentEnd);
    if (this.#isProgress(view)) this.progressAtMs = nowMs;
    this.answered = true;
    if (verdict === "right") this.#admit(n);
    return result;
  }

  /** Answers to probes alone, one in each timeout, would continue for ever. */
  #isProgress(view: PacketView): boolean {
    if (this.#probesInARow === 0) return true;
    if (view.isSegmentOf(this.what.object)) this.#probesInARow = 0;
    return this.#probesInARow <= maxProbesInARow;
  }

  #judge(n: number, view: PacketView, { contentType, contentStart, contentEnd }: DataFields): Verdict {
    const isPlausible = contentType === contentTypes.Blob && contentEnd - contentStart === this.buffer.sizeof(n);
    if (!isPlausible) return "wrong";
    if (!this.#checked) return "right";
    if (view.isSegmentOf(this.what.object)) return this.#checked.judge(n, view.buf, view.start, view.end);
    return this.#checked.judgePayload(n, view.buf, contentStart, contentEnd);
  }

  #admit(n: number): void {
    const { buffer } = this;
    this.#checked?.right(n);
    buffer.admit(n);
    if (buffer.hasWholeBlock || buffer.taken === this.what.firstSegment) this.changes.notify();
  }

  /** Segment `n` is no longer in flight. */
  #settled(n: number): void {
    const slot = n % fetchCapacity;
    if (this.#sentAtMs[slot] !== never) this.inflight--;
    this.#sentAtMs[slot] = never;
    this.#tries[slot] = 0;
  }

  /** Digests have become known: compare what came before them. */
  #checkEarly(): void {
    for (let n = this.buffer.contiguous; n < this.#next; n++) {
      if (!this.buffer.isHeld(n)) continue;
      const verdict = this.#checked!.judgeEarly(n);
      if (verdict === "right") this.#admit(n);
      if (verdict !== "wrong") continue;
      this.buffer.reject(n);
      this.#replace(n);
    }
    this.changes.notify();
  }

  #replace(n: number): void {
    const how = this.#checked!.wrong(n);
    if (how === undefined) return;
    this.#settled(n);
    if (how === "elsewhere") void this.#repair(n);
    else this.#lost.unshift(n);
  }

  async #repair(n: number): Promise<void> {
    const payload = await this.#checked!.check.repair(n).catch(() => undefined);
    if (this.buffer.has(n)) return;
    const isRight = payload?.length === this.buffer.sizeof(n);
    if (isRight && this.#checked!.judgePayload(n, payload, 0, payload.length) === "right") {
      this.buffer.put(n, payload, 0, payload.length);
      this.#admit(n);
      this.changes.notify();
    } else this.fail(new FetchFailed(`segment ${n} is wrong, and no one has the right one`));
  }

  /**
   * Find Interests that will not be answered: overtaken by an answer to one sent clearly later, or older than the
   * retransmission timeout. They are asked again.
   *
   * @param overtakenBeforeMs - Early tries sent before this have been overtaken.
   * @param expiredBeforeMs - All tries sent before this have timed out.
   * @returns how many were overtaken and how many timed out.
   */
  findLost(overtakenBeforeMs: number, expiredBeforeMs: number): { overtaken: number; expired: number } {
    let overtaken = 0;
    let expired = 0;
    for (let n = this.buffer.contiguous; n < this.#next; n++) {
      const slot = n % fetchCapacity;
      const sentAt = this.#sentAtMs[slot]!;
      if (sentAt === never) continue;
      if (sentAt < expiredBeforeMs) expired++;
      else if (sentAt < overtakenBeforeMs && this.#tries[slot]! <= maxEarlyTries) overtaken++;
      else continue;
      this.#sentAtMs[slot] = never;
      this.inflight--;
      if (sentAt < expiredBeforeMs && this.#checked?.silent(n)) void this.#repair(n);
      else this.#lost.push(n);
    }
    return { overtaken, expired };
  }

  /** The alternative name is asked now. */
  probed(nowMs: number): void {
    this.probedAtMs = nowMs;
    this.#probesInARow++;
  }

  fail(reason: Error): void {
    this.failure ??= reason;
    this.changes.notify();
  }

  /**
   * Bytes in order, in blocks; ends after the last segment. Small pieces only while nothing larger is there. A piece is
   * valid until the next one is asked for. A failure is thrown once all that is there has been taken, an abort at once.
   */
  async *read(onTaken: () => void, signal: AbortSignal): AsyncGenerator<Buffer> {
    for (;;) {
      signal.throwIfAborted();
      const block = this.buffer.take();
      if (block !== undefined) {
        onTaken();
        yield block;
        continue;
      }
      if (this.buffer.contiguous > this.what.lastSegment) return;
      if (this.failure) throw this.failure;
      await this.changes.changed();
    }
  }
}
