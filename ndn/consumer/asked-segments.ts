/**
 * Which segments of one fetch are asked for, and which of them are lost.
 *
 * Whether an Interest is lost is judged among those of one object, which one server answers in order, and never because
 * another object was answered sooner: a server that reads some of many objects from a registry holds the Interests for
 * them meanwhile. As in TCP there are two signs:
 *
 * - A later Interest has been answered, and the time in which this one may be late is over (RFC 8985 § 6): asked again.
 * - Silence and an RTO is over (RFC 6298 § 5): a few segments are asked for, then one in each RTO, which doubles, and
 *   nothing else until something arrives, so that a server with a queue is not asked more the longer it is. What arrives
 *   then tells whether the others were lost or had only been waiting in that queue (RFC 5682): if they had, answers to
 *   some that were asked for once follow at once, and the rest is waited for; if an Interest that was sent afterwards is
 *   answered before them, or nothing follows, they are lost.
 */
import type { PrefixPath } from "./prefix-path.ts";
import { copyRing } from "./ring.ts";
import { RttEstimator } from "./rtt-estimator.ts";
import { SentInterests } from "./sent-interests.ts";
import { SuppressedTries } from "./suppressed-tries.ts";

/** Tries that are given up as soon as they are overtaken; a forwarder may suppress them, see `suppressed-tries.ts`. */
const maxEarlyTries = 3;
/** On a short path each try may be late by so many times more: what answers late may be far away. */
const patience = 4;
/** While answers come, with pauses of less than this or two round trips, none is overdue. */
const minPauseMs = 100;
/** An answer is from afar when it comes more than so many round trips, and this, after the last Interest. */
const [farRounds, minFarMs] = [4, 10];
/** The end of what was asked for is not given up sooner: a server that reads from a registry often pauses for less. */
const minTailMs = 50;
/** Segments asked for after the first RTO of silence: those that are lost at the end of a blob are rarely more. */
const firstProbes = 3;
/** After silence: how long the next of the old answers may take, or half a round trip. */
const minFollowMs = 50;

/** What is learned from an answer. */
export interface Answer {
  /** When the Interest was sent that it answers; NaN when that is unknown. */
  sentAtMs: number;
  /** By how much it has been overtaken: an Interest of the same fetch sent so much later had been answered before. */
  lagMs: number;
  /**
   * Whether it came from so far away that the Interests after the first one were premature: much later than an answer to
   * the last one would have come, had the first one been lost.
   */
  isFar: boolean;
  /** Whether Interests of other fetches, sent later, had been answered: it may have waited at the server. */
  hadWaited: boolean;
}

/** The unanswered segments of one fetch. */
export class AskedSegments {
  readonly rtt: RttEstimator;
  readonly #sent: SentInterests;
  /** Segments given up for lost, to be asked for again before new ones. */
  readonly #lost: number[] = [];
  /** When the latest Interest among those answered was sent. */
  #newestAnsweredMs = Number.NEGATIVE_INFINITY;
  /** What the last answer says about the path; used again for the next one. */
  readonly answer: Answer = { sentAtMs: Number.NaN, lagMs: 0, isFar: false, hadWaited: false };
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  readonly #suppressed = new SuppressedTries();
  #isSilent = false;
  /** Segments that are still to be asked for in this RTO of silence. */
  #probes = 0;
  #silenceEndedMs = Number.NEGATIVE_INFINITY;
  /** Until then what was given up in silence may still be answered. */
  #followsUntilMs = Number.NEGATIVE_INFINITY;
  #tailProbedMs = Number.NEGATIVE_INFINITY;
  #tailProbe = -1;
  #firstAskedMs: Float64Array;
  #capacity: number;
  readonly #path: Pick<PrefixPath, "rtt" | "load" | "control">;

  /** @param path - What is known of it is what the fetch begins with. */
  constructor(capacity: number, path: Pick<PrefixPath, "rtt" | "load" | "control">) {
    this.#capacity = capacity;
    this.#path = path;
    this.#sent = new SentInterests(capacity, path.load);
    this.#firstAskedMs = new Float64Array(capacity);
    this.rtt = new RttEstimator(path.rtt);
  }

  /** Make room for more numbers, at least twice as many; those below `first` are of no interest any more. */
  enlarge(capacity: number, first: number): void {
    const before = this.#firstAskedMs;
    this.#sent.enlarge(capacity, first);
    this.#capacity = capacity;
    this.#firstAskedMs = new Float64Array(capacity);
    copyRing(before, this.#firstAskedMs, first);
  }

  /** Interests that are unanswered and not given up. */
  get outstanding(): number {
    return this.#sent.count;
  }

  /** Whether anything that was asked for is missing. */
  get isWaiting(): boolean {
    return this.#sent.count + this.#lost.length > 0;
  }

  /** Whether there is no answer to what was asked, so that nothing new is. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Whether a lost segment may be asked for now. */
  hasLost(nowMs: number): boolean {
    if (this.#lost.length === 0) return false;
    return this.#isSilent ? this.#probes > 0 : nowMs >= this.#followsUntilMs;
  }

  /** A lost segment to ask for again; -1 when there is none now. */
  nextLost(nowMs: number, isHere: (n: number) => boolean): number {
    while (this.hasLost(nowMs)) {
      const n = this.#lost.shift()!;
      if (isHere(n) || this.#sent.has(n)) continue;
      if (this.#isSilent) this.#probes--;
      return n;
    }
    if (this.#sent.count === 0) this.#isSilent = false; // all that was lost is here by now
    return -1;
  }

  /** How often segment `n` has been asked for. */
  tries(n: number): number {
    return this.#sent.tries(n);
  }

  /** Segment `n` is asked for now. */
  asked(n: number, nowMs: number): void {
    const tries = this.#sent.tries(n);
    if (tries === 0) this.#firstAskedMs[n % this.#capacity] = nowMs;
    else if (tries === 1) this.#suppressed.askedAgain(n, this.#firstAskedMs[n % this.#capacity]!, nowMs);
    this.#sent.add(n, nowMs);
  }

  /** Segment `n` is to be asked for again before all others. */
  askAgain(n: number): void {
    this.#sent.settle(n);
    this.#lost.unshift(n);
  }

  /** Segment `n`, which is asked for, is lost: it is asked for again before new ones. */
  lose(n: number): void {
    this.#sent.drop(n);
    this.#lost.push(n);
  }

  /** Segment `n` came from elsewhere. */
  settle(n: number): void {
    this.#sent.settle(n);
  }

  /** Segment `n`, which has been asked for, was answered: `answer` says what that tells. */
  answered(n: number, nowMs: number): void {
    const { answer } = this;
    const sent = this.#sent;
    const [tries, sentAtMs, isGivenUp] = [sent.tries(n), sent.sentAtMs(n), !sent.has(n)];
    answer.hadWaited = sent.isOvertaken(n);
    answer.isFar = tries > 1 && this.#isFar(n, tries, nowMs);
    answer.sentAtMs = tries === 1 ? sentAtMs : answer.isFar ? this.#firstAskedMs[n % this.#capacity]! : Number.NaN;
    sent.settle(n);
    this.#answeredAtMs = nowMs;
    if (this.#isSilent) this.#silenceEnds(nowMs);
    else if (nowMs < this.#followsUntilMs && sentAtMs > this.#silenceEndedMs) this.#followsUntilMs = nowMs;
    if (tries === 1) this.rtt.sample(nowMs - sentAtMs);
    else this.rtt.sampleLate();
    answer.lagMs = this.#newestAnsweredMs - answer.sentAtMs;
    if (answer.lagMs > 0) this.rtt.overtaken(answer.lagMs);
    // Sooner it is the answer to an Interest before (RFC 8985 § 6.2), and after silence no one knows to which.
    const isOfLast = tries === 1 || (nowMs - sentAtMs >= this.rtt.smoothedMs / 2 && nowMs >= this.#followsUntilMs);
    if (isOfLast && !answer.isFar) this.#newestAnsweredMs = Math.max(this.#newestAnsweredMs, sentAtMs);
    if (tries === 1 && isGivenUp && nowMs < this.#followsUntilMs) this.#followsUntilMs = nowMs + this.rtt.rtoMs;
  }

  #isFar(n: number, tries: number, nowMs: number): boolean {
    const ageMs = nowMs - this.#firstAskedMs[n % this.#capacity]!;
    if (tries > maxEarlyTries || n === this.#tailProbe || ageMs > this.rtt.rtoMs) return false;
    return nowMs - this.#sent.sentAtMs(n) > farRounds * this.rtt.smoothedMs + minFarMs;
  }

  #silenceEnds(nowMs: number): void {
    this.#isSilent = false;
    this.#silenceEndedMs = nowMs;
    this.#followsUntilMs = nowMs + Math.max(minFollowMs, this.rtt.smoothedMs / 2);
  }

  /**
   * Find what is lost.
   *
   * @param overtakenBeforeMs - Interests sent before this have been overtaken by those of other fetches.
   * @param onExpired - Is called with a segment that has been silent for an RTO; true if it comes from elsewhere.
   */
  findLost(nowMs: number, overtakenBeforeMs: number, onExpired: (n: number) => boolean): void {
    const sent = this.#sent;
    if (sent.count === 0) return;
    sent.overtake(overtakenBeforeMs);
    const { rtoMs, smoothedMs, reorderingMs } = this.rtt;
    const factor = this.#path.control.model.isShort ? patience : 1;
    sent.forEachSentBefore(this.#newestAnsweredMs, (n, sentAtMs, tries) => {
      const silentMs = nowMs - sentAtMs;
      const isLate = silentMs > smoothedMs + reorderingMs * factor ** (tries - 1);
      const isExpired = silentMs > rtoMs;
      if (isExpired && onExpired(n)) sent.drop(n);
      else if (isExpired || (tries <= maxEarlyTries && isLate)) {
        this.lose(n);
        this.#path.control.lost(sentAtMs);
      }
    });
    this.#suppressed.takeDue(nowMs, (n) => this.#losePassedOn(n, nowMs));
    if (sent.count === 0) return;
    this.#probeTail(nowMs);
    if (sent.count === 0 || nowMs - sent.oldestSentAtMs <= rtoMs) return;
    if (nowMs - this.#answeredAtMs <= Math.min(rtoMs, Math.max(minPauseMs, 2 * this.rtt.smoothedMs))) return;
    this.#probes = this.#isSilent ? 1 : firstProbes;
    this.rtt.timedOut();
    sent.forEachSentBefore(Number.POSITIVE_INFINITY, (n) => (onExpired(n) ? sent.drop(n) : this.lose(n)));
    this.#isSilent = this.#lost.length > 0;
  }

  /** A forwarder passes Interests for segment `n` on again. @returns when it is lost, if the last one may be answered */
  #losePassedOn(n: number, nowMs: number): number {
    if (this.#isSilent || !this.#sent.has(n)) return nowMs;
    const answerDueMs = this.#sent.sentAtMs(n) + this.rtt.smoothedMs + this.rtt.reorderingMs;
    if (answerDueMs <= nowMs) this.lose(n);
    return answerDueMs;
  }

  /**
   * What is lost at the end has nothing behind it that could overtake it: the last one is asked for once more (RFC 8985
   * § 7), and its answer tells about the others.
   */
  #probeTail(nowMs: number): void {
    const n = this.#sent.newest;
    const silentMs = nowMs - Math.max(this.#answeredAtMs, this.#sent.sentAtMs(n));
    const { smoothedMs, reorderingMs } = this.rtt;
    if (smoothedMs === 0 || silentMs < Math.max(minTailMs, 2 * smoothedMs + reorderingMs)) return;
    if (this.#tailProbedMs > this.#answeredAtMs) return;
    this.#tailProbedMs = nowMs;
    this.#tailProbe = n;
    this.lose(n);
  }

  /** The fetch is over. */
  close(): void {
    this.#sent.dropAll();
    this.#lost.length = 0;
    this.#suppressed.clear();
  }
}
