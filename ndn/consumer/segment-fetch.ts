/**
 * One object that is being fetched: what is asked for next, what becomes of an answer, and what the reader gets.
 */

import { ChangeNotifier } from "#base/waiting.ts";
import type { Face } from "../face/face.ts";
import { contentTypes, type DataFields } from "../packet/data.ts";
import { encodeInterest, SegmentInterestTemplate } from "../packet/interest.ts";
import { nameKey } from "../packet/name.ts";
import type { PacketView } from "../packet/packet-view.ts";
import { AskedSegments } from "./asked-segments.ts";
import type { FetchMemory } from "./fetch-memory.ts";
import { FetchFailed, type ObjectToFetch } from "./object-to-fetch.ts";
import type { PrefixPath } from "./prefix-path.ts";
import { ReorderBuffer } from "./reorder-buffer.ts";
import { CheckedSegments, type Verdict } from "./segment-check.ts";

/** So many answers to probes count as progress, unless the object's own name is answered in between. */
const maxProbesInARow = 3;

/** State of one fetch; driven by its `SegmentConsumer`. */
export class SegmentFetch {
  readonly what: ObjectToFetch;
  readonly path: PrefixPath;
  /** Keys of the names that segments may come under: the object's own, and the alternative one. */
  readonly nameKeys: readonly string[];
  readonly buffer: ReorderBuffer;
  readonly alternative: SegmentInterestTemplate | undefined;
  readonly asked: AskedSegments;
  /** Whether the consumer has it among those that have something to ask. */
  isHungry = false;
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
  #next: number;
  readonly #isHere = (n: number) => this.buffer.has(n);
  /** Whether segment `n`, which stays unanswered, has to come from elsewhere. */
  readonly onExpired = (n: number) => this.#isRepaired(n);

  constructor(what: ObjectToFetch, nowMs: number, path: PrefixPath, memory: FetchMemory) {
    this.what = what;
    this.path = path;
    this.nameKeys = what.alternative ? [nameKey(what.object), nameKey(what.alternative)] : [nameKey(what.object)];
    this.#next = what.firstSegment;
    this.progressAtMs = nowMs;
    this.#template = new SegmentInterestTemplate(what.object, what.hint);
    this.alternative = what.alternative && new SegmentInterestTemplate(what.alternative);
    this.buffer = new ReorderBuffer(what, memory);
    this.asked = new AskedSegments(this.buffer.capacity, path);
    if (!what.check) return;
    this.#checked = new CheckedSegments(what.check, what.object, this.buffer.capacity);
    what.check.listener = (failure) => (failure ? this.fail(failure) : this.#checkEarly());
  }

  /** Whether there is something to ask for now, and room to put it. */
  canAsk(nowMs: number): boolean {
    if (this.failure) return false;
    return this.asked.hasLost(nowMs) || (!this.asked.isSilent && this.#hasNew);
  }

  get #hasNew(): boolean {
    return this.#next < this.buffer.limit || this.buffer.canGrow;
  }

  /** The segment to ask for next, which then counts as asked for; -1 when `canAsk` is false. */
  nextToAsk(nowMs: number): number {
    if (this.failure) return -1;
    const { asked } = this;
    const isWaiting = asked.isWaiting;
    let n = asked.nextLost(nowMs, this.#isHere);
    if (n < 0) {
      if (asked.isSilent) return -1;
      n = this.takeNext(nowMs);
      if (n >= 0 && !isWaiting) this.progressAtMs = nowMs; // the reader was the slow one: silence counts from now
      return n;
    }
    this.#checked?.check.expect(n);
    asked.asked(n, nowMs);
    return n;
  }

  /** The next segment counts as asked for at this time; -1 when there is none, or no room for it. */
  takeNext(sentAtMs: number): number {
    if (!this.#hasNew) return -1;
    if (this.#next >= this.buffer.limit) this.#grow();
    const n = this.#next++;
    this.#checked?.check.expect(n);
    this.asked.asked(n, sentAtMs);
    return n;
  }

  #grow(): void {
    const { buffer } = this;
    if (!buffer.grow()) return;
    this.asked.enlarge(buffer.capacity, buffer.contiguous);
    this.#checked?.enlarge(buffer.capacity, buffer.contiguous);
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
   * @returns whether it was wanted, and `asked.answer` tells something.
   */
  arrived(n: number, view: PacketView, fields: DataFields, nowMs: number): boolean {
    const { buffer } = this;
    if (n < this.what.firstSegment || n >= this.#next || buffer.has(n)) return false;
    const verdict = this.#judge(n, view, fields);
    if (verdict === "wrong") {
      if (this.#checked) this.#replace(n);
      return false;
    }
    this.asked.answered(n, nowMs);
    buffer.put(n, view.buf, fields.contentStart, fields.contentEnd);
    if (this.#isProgress(view)) this.progressAtMs = nowMs;
    this.answered = true;
    if (verdict === "right") this.#admit(n);
    return true;
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
    if (how === "implicit-digest") {
      this.asked.askAgain(n);
      return;
    }
    this.asked.settle(n);
    void this.#repair(n);
  }

  async #repair(n: number): Promise<void> {
    const payload = await this.#checked!.check.repair(n).catch(() => undefined);
    if (this.failure || this.buffer.has(n)) return;
    const isRight = payload?.length === this.buffer.sizeof(n);
    if (isRight && this.#checked!.judgePayload(n, payload, 0, payload.length) === "right") {
      this.buffer.put(n, payload, 0, payload.length);
      this.#admit(n);
      this.changes.notify();
    } else this.fail(new FetchFailed(`segment ${n} is wrong, and no one has the right one`));
  }

  #isRepaired(n: number): boolean {
    if (this.#checked?.silent(n) !== true) return false;
    void this.#repair(n);
    return true;
  }

  /** Whether the reader can get something, or the end. */
  get isReadable(): boolean {
    return this.failure !== undefined || this.buffer.contiguous > this.buffer.taken;
  }

  /** The alternative name is asked now. */
  probed(nowMs: number): void {
    this.probedAtMs = nowMs;
    this.#probesInARow++;
  }

  /** No one reads it any more. */
  close(): void {
    this.fail(new FetchFailed("the fetch is over"));
    if (this.what.check) this.what.check.listener = undefined;
    this.asked.close();
    this.buffer.close();
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
