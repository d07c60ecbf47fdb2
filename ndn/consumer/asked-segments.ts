/**
 * Which segments of one fetch are asked for, and which of them are lost.
 *
 * Whether an Interest is lost is judged among those of one object, which one server answers in order, and never because
 * another object was answered sooner: a server that reads some of many objects from a registry holds the Interests for
 * them meanwhile. As in TCP there are two signs:
 *
 * - A later Interest has been answered (RFC 8985, by time): asked again at once.
 * - Silence and an RTO is over (RFC 6298 § 5): a few segments are asked for, then one in each RTO, which doubles, and
 *   nothing else until something arrives, so that a server with a queue is not asked more the longer it is. What arrives
 *   then tells whether the others were lost or had only been waiting in that queue (RFC 5682): if they had, answers to
 *   some that were asked for once follow at once, and the rest is waited for; if an Interest that was sent afterwards is
 *   answered before them, or nothing follows, they are lost.
 */
import { RttEstimator } from "./rtt-estimator.ts";
import { SentInterests, type UplinkLoad } from "./sent-interests.ts";

/** Tries that are given up as soon as they are overtaken; a forwarder may suppress them, so the next ones wait an RTO. */
const maxEarlyTries = 3;
/** While answers come, with pauses of less than this or two round trips, none is overdue. */
const minPauseMs = 100;
/** Segments asked for after the first RTO of silence: those that are lost at the end of a blob are rarely more. */
const firstProbes = 3;
/** After silence: how long the next of the old answers may take, or half a round trip. */
const minFollowMs = 50;

/** The unanswered segments of one fetch. */
export class AskedSegments {
  readonly rtt: RttEstimator;
  readonly #sent: SentInterests;
  /** Segments given up for lost, to be asked for again before new ones. */
  readonly #lost: number[] = [];
  /** When the latest Interest among those answered was sent. */
  #newestAnsweredMs = Number.NEGATIVE_INFINITY;
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  #isSilent = false;
  /** Segments that are still to be asked for in this RTO of silence. */
  #probes = 0;
  #silenceEndedMs = Number.NEGATIVE_INFINITY;
  /** Until then what was given up in silence may still be answered. */
  #followsUntilMs = Number.NEGATIVE_INFINITY;
  readonly #firstAskedMs: Float64Array;
  readonly #capacity: number;

  /** @param seed - What is known of the uplink. */
  constructor(capacity: number, seed: RttEstimator, load: UplinkLoad) {
    this.#capacity = capacity;
    this.#sent = new SentInterests(capacity, load);
    this.#firstAskedMs = new Float64Array(capacity);
    this.rtt = new RttEstimator(seed);
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
    if (this.#sent.tries(n) === 0) this.#firstAskedMs[n % this.#capacity] = nowMs;
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

  /**
   * Segment `n`, which has been asked for, was answered.
   * @returns when it was asked for; undefined when that was more than once.
   */
  answered(n: number, nowMs: number): number | undefined {
    const [tries, sentAtMs] = [this.#sent.tries(n), this.#sent.sentAtMs(n)];
    const isGivenUp = !this.#sent.has(n);
    this.#sent.settle(n);
    this.#answeredAtMs = nowMs;
    if (this.#isSilent) this.#silenceEnds(nowMs);
    else if (nowMs < this.#followsUntilMs && sentAtMs > this.#silenceEndedMs) this.#followsUntilMs = nowMs;
    if (tries !== 1) {
      this.rtt.sampleLate(nowMs - this.#firstAskedMs[n % this.#capacity]!);
      // Sooner it is the answer to an Interest before (RFC 8985 § 6.2), and after silence no one knows to which.
      const isOfLast = nowMs - sentAtMs >= this.rtt.smoothedMs / 2 && nowMs >= this.#followsUntilMs;
      if (isOfLast) this.#newestAnsweredMs = Math.max(this.#newestAnsweredMs, sentAtMs);
      return undefined;
    }
    this.rtt.sample(nowMs - sentAtMs);
    this.#newestAnsweredMs = Math.max(this.#newestAnsweredMs, sentAtMs);
    if (isGivenUp && nowMs < this.#followsUntilMs) this.#followsUntilMs = nowMs + this.rtt.rtoMs;
    return sentAtMs;
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
    const { rtoMs } = this.rtt;
    sent.forEachSentBefore(this.#newestAnsweredMs - this.rtt.reorderingMs, (n, sentAtMs, tries) => {
      const isExpired = sentAtMs < nowMs - rtoMs;
      if (isExpired && onExpired(n)) sent.drop(n);
      else if (isExpired || tries <= maxEarlyTries) this.lose(n);
    });
    if (sent.count === 0 || nowMs - sent.oldestSentAtMs <= rtoMs) return;
    if (nowMs - this.#answeredAtMs <= Math.min(rtoMs, Math.max(minPauseMs, 2 * this.rtt.smoothedMs))) return;
    this.#probes = this.#isSilent ? 1 : firstProbes;
    this.rtt.timedOut();
    sent.forEachSentBefore(Number.POSITIVE_INFINITY, (n) => (onExpired(n) ? sent.drop(n) : this.lose(n)));
    this.#isSilent = this.#lost.length > 0;
  }

  /** The fetch is over. */
  close(): void {
    this.#sent.dropAll();
    this.#lost.length = 0;
  }
}
