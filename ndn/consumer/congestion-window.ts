/**
 * How many Interests an uplink may have in flight. Delivery rate and minimum RTT set the window, as in BBR: random
 * loss is not congestion, and a growing queue shows in the RTT before anything is lost. A pure state machine: time is
 * an argument, so a simulated link tests it.
 */

/** Tuning; the defaults suit NFD and ndnd on one machine up to a 100 ms path. */
export interface WindowLimits {
  /** Interests in flight at most; ndnd queues 1024 packets per face before it drops. */
  readonly maxWindow: number;
}

const firstWindow = 32;
const minWindow = 16;
/** The window is this many bandwidth-delay products: room to find out that the path has become faster. */
const windowGain = 1.25;
/**
 * Segments added to that product. On a short path answers come in bursts as large as the product, which would make it
 * stop and go; on a long one they would only stand in a queue.
 */
const shortPathAllowance = 48;
const longPathAllowance = 8;
/** Start-up doubles the window every round trip until the RTT exceeds its minimum by this share: a queue begins. */
const startupRttRise = 1 / 8;
/** RTT may rise by this in any case: timer and scheduling noise of a local face is not a queue. */
const rttNoiseMs = 4;
/** The minimum is that of at least so long: a later one is not a single sample, which may have waited at the server. */
const minRttWindowMs = 10_000;
const rateRounds = 8;
/** Rates are measured over at least this: on a local face answers come in bursts that say little about the path. */
const minRoundMs = 20;
/** A window of which no more was ever in flight was not the limit; answers come in batches before more is asked for. */
const fullShare = 0.75;
/** A share of lost segments in one round above which loss does mean congestion. */
const congestedLossShare = 0.1;
const lossFactor = 0.7;

/** The window of one uplink, shared by all blobs on it. */
export class CongestionWindow {
  /** Interests that may be in flight now. */
  size: number;
  readonly #limits: WindowLimits;
  #cwnd: number;
  #startup = true;
  #minRttMs = Number.POSITIVE_INFINITY;
  /** The minimum since `#minRttSinceMs`, which will replace the other. */
  #nextMinRttMs = Number.POSITIVE_INFINITY;
  #minRttSinceMs = Number.NEGATIVE_INFINITY;
  /** Delivery rates, segments per millisecond, of the last rounds. */
  readonly #rates: number[] = [];
  #roundStartMs = Number.NEGATIVE_INFINITY;
  #roundDelivered = 0;
  #roundLost = 0;
  /** Whether the window was in use in this round: else its rate says what was asked for, not what the path can do. */
  #roundWasFull = false;
  #cutAtMs = Number.NEGATIVE_INFINITY;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
    this.#cwnd = Math.min(firstWindow, limits.maxWindow);
    this.size = Math.floor(this.#cwnd);
  }

  /** The least round-trip time of late: that of the path. */
  get minRttMs(): number {
    return this.#minRttMs;
  }

  /**
   * A segment arrived. `rttMs` is undefined when it was asked for more than once; `inflight` counts what is left on the
   * path: not what waits at the server, which would be taken for the path's.
   */
  delivered(nowMs: number, rttMs: number | undefined, inflight: number): void {
    if (rttMs !== undefined) this.#sampleRtt(nowMs, rttMs);
    this.#roundDelivered++;
    this.#roundWasFull ||= inflight + 1 >= fullShare * this.size;
    if (this.#startup) this.#growInStartup(rttMs, inflight);
    const [elapsedMs, roundMs] = [nowMs - this.#roundStartMs, Math.max(this.#minRttMs, minRoundMs)];
    if (elapsedMs < roundMs) return;
    if (elapsedMs < 10 * roundMs) this.#learnRate(elapsedMs);
    this.#roundStartMs = nowMs;
    this.#roundDelivered = this.#roundLost = 0;
    this.#roundWasFull = false;
  }

  /** A segment was given up for lost. */
  lost(nowMs: number): void {
    this.#roundLost++;
    const total = this.#roundLost + this.#roundDelivered;
    if (total >= 20 && this.#roundLost > congestedLossShare * total) this.#cut(nowMs);
  }

  /** A congestion mark from a remote face: the path has a queue. */
  marked(nowMs: number): void {
    this.#cut(nowMs);
  }

  #sampleRtt(nowMs: number, rttMs: number): void {
    this.#nextMinRttMs = Math.max(0.05, Math.min(this.#nextMinRttMs, rttMs));
    this.#minRttMs = Math.min(this.#minRttMs, this.#nextMinRttMs);
    if (nowMs - this.#minRttSinceMs < minRttWindowMs) return;
    this.#minRttMs = this.#nextMinRttMs;
    this.#nextMinRttMs = Number.POSITIVE_INFINITY;
    this.#minRttSinceMs = nowMs;
  }

  #growInStartup(rttMs: number | undefined, inflight: number): void {
    const rise = Math.max(rttNoiseMs, this.#minRttMs * startupRttRise);
    const queueing = rttMs !== undefined && rttMs > this.#minRttMs + rise;
    if (queueing) this.#startup = false;
    else if (inflight + 1 >= this.#cwnd / 2) this.#setWindow(this.#cwnd + 1);
  }

  #learnRate(elapsedMs: number): void {
    const rate = this.#roundDelivered / elapsedMs;
    if (!this.#roundWasFull && rate < Math.max(...this.#rates)) return;
    this.#rates.push(rate);
    if (this.#rates.length > rateRounds) this.#rates.shift();
    if (this.#startup) return;
    const product = Math.max(...this.#rates) * Math.max(this.#minRttMs, 1);
    const allowance = Math.max(longPathAllowance, shortPathAllowance * Math.min(1, rttNoiseMs / this.#minRttMs));
    const target = windowGain * product + allowance;
    this.#setWindow(
      target > this.#cwnd ? Math.min(target, this.#cwnd * 1.25 + 1) : Math.max(target, this.#cwnd * 0.85),
    );
  }

  #cut(nowMs: number): void {
    if (nowMs - this.#cutAtMs < Math.max(this.#minRttMs, rttNoiseMs)) return;
    this.#cutAtMs = nowMs;
    this.#startup = false;
    this.#setWindow(this.#cwnd * lossFactor);
  }

  #setWindow(window: number): void {
    this.#cwnd = Math.min(this.#limits.maxWindow, Math.max(minWindow, window));
    this.size = Math.floor(this.#cwnd);
  }
}
