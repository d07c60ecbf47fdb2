/**
 * How many Interests may be in flight on a path, and how fast they may be sent.
 *
 * A model of the path decides, in phases that measure it, as in BBR (draft-ietf-ccwg-bbr). What is different: loss alone
 * is no congestion, as many links lose packets whatever is sent; caches on the way answer sooner than the producer; and
 * the pace in steady state keeps a few segments in the queue, so that those who share it come to equal rates within
 * seconds. A pure state machine: time is an argument, and a simulated path tests it.
 */
import { Pacer } from "./pacer.ts";
import { noiseMs, PathModel } from "./path-model.ts";
import { Round } from "./round.ts";

/** What bounds the window. */
export interface CongestionLimits {
  /** Interests in flight at most. */
  readonly maxWindow: number;
}

/** What the path is being asked: its rate, whether it has become faster, or its round-trip time without a queue. */
type Phase = "startup" | "drain" | "cruise" | "up" | "down" | "probe-rtt";

const firstWindow = 32;
const minWindow = 4;
/** Doubles the rate in each round trip: 2 / ln 2. */
const startupGain = 2.885;
/** Of the rate that the path delivers; about 1 otherwise. */
const pacingGains: Readonly<Partial<Record<Phase, number>>> = {
  startup: startupGain,
  drain: 1 / startupGain,
  up: 1.25,
  down: 0.75,
  "probe-rtt": 0.75,
};
/** Lengths of phases in rounds. */
const [cruiseRounds, maxDrainRounds, rttRounds] = [6, 3, 2];
/** So many rounds after a probe, what it has lost has been found. */
const steadyRounds = 2;
/** While the path is to show its round-trip time. */
const probeRttGain = 0.5;
/** Start-up ends when the rate has not grown by a quarter in so many rounds, */
const [plateauRounds, plateauGrowth] = [3, 1.25];
/** or so much is lost, whatever the path loses otherwise. Until then loss may be the path's own. */
const startupLoss = 0.2;
/** What is asked for more shows by a growth of more than this; when it does so often in a row, start-up begins again. */
const [probeGrowth, restartProbes] = [1.1, 2];
/** A pause of so many rounds says nothing about the path. */
const idleRounds = 10;
/** On congestion the window is cut to this share of what was in flight, or of the product. */
const cut = 0.85;
/** After that, loss is not judged for so many round trips: what is found lost then was lost before. */
const settleRounds = 1.25;
/** Of the window, the share that must have been used for the rate to say what the path can do. */
const fullShare = 0.75;

/** Window and pace of one path, shared by all fetches on it. */
export class CongestionControl {
  /** Interests that may be in flight now. */
  size: number;
  readonly model = new PathModel();
  readonly #pacer = new Pacer();
  readonly #maxWindow: number;
  #phase: Phase = "startup";
  #rounds = 0;
  #round = new Round(Number.NEGATIVE_INFINITY);
  #lastInflight = 0;
  /** The first window leaves at once, and stands in a queue: only later answers tell of others. */
  #pacedSinceMs = Number.POSITIVE_INFINITY;
  #bestRate = 0;
  #plateau = 0;
  #rateBeforeProbe = 0;
  #probesThatGrew = 0;
  /** What congestion has taught: until the next probe no more than this is in flight. */
  #bound = Number.POSITIVE_INFINITY;
  #cutAtMs = Number.NEGATIVE_INFINITY;

  constructor({ maxWindow }: CongestionLimits) {
    this.#maxWindow = maxWindow;
    this.size = Math.min(firstWindow, maxWindow);
  }

  /** What it does now, to be shown. */
  get phase(): string {
    return this.#phase;
  }

  /** Interests per millisecond; infinite where the window alone decides. */
  get pacePerMs(): number {
    return this.model.pace(pacingGains[this.#phase] ?? this.model.steadyGain);
  }

  /** Interests that may be sent now, as far as the pace decides. */
  credit(nowMs: number): number {
    return this.#pacer.credit(nowMs, this.pacePerMs, this.model.rtt.minMs);
  }

  /** So many Interests have been sent. */
  sent(count: number): void {
    this.#pacer.sent(count);
  }

  /**
   * A segment arrived.
   *
   * @param rttMs - Undefined when it is not known which Interest it answers, or it has waited for more than the path.
   * @param isFar - Whether answers to clearly later Interests of its fetch had been there before.
   * @param inflight - What is left on the path.
   */
  delivered(nowMs: number, rttMs: number | undefined, isFar: boolean, inflight: number): void {
    const round = this.#round;
    if (rttMs !== undefined) {
      this.model.rtt.sample(nowMs, rttMs, isFar, this.#isUnpaced || nowMs - rttMs > this.#pacedSinceMs);
    }
    round.delivered++;
    round.inflight = Math.max(round.inflight, inflight + 1);
    round.isFull ||= inflight + 1 >= fullShare * this.size;
    if (this.#phase === "startup") this.#startUp(nowMs, inflight + 1);
    const elapsedMs = nowMs - round.startMs;
    if (elapsedMs >= this.model.roundMs) this.#endRound(nowMs, elapsedMs);
  }

  /** A segment that was asked for at `sentAtMs` was given up for lost. */
  lost(sentAtMs: number): void {
    if (sentAtMs > this.#cutAtMs) this.#round.lost++;
  }

  /** One of those that were given up was not lost after all. */
  notLost(): void {
    this.#round.lost = Math.max(0, this.#round.lost - 1);
  }

  /** A congestion mark of a remote face: the path has a queue. */
  marked(nowMs: number): void {
    this.#congested(nowMs);
  }

  /** The window doubles in each round trip until the last answers are all late. */
  #startUp(nowMs: number, inflight: number): void {
    if (this.model.isLate(this.#isUnpaced ? 1 : undefined)) this.#drain(nowMs);
    else if (inflight >= this.size / 2) this.#setWindow(this.size + 1);
  }

  #endRound(nowMs: number, elapsedMs: number): void {
    const { model } = this;
    this.#rounds++;
    model.rtt.endRound();
    if (elapsedMs < idleRounds * model.roundMs) this.#learn(nowMs, elapsedMs, this.#round);
    this.#nextPhase(nowMs, elapsedMs);
    if (this.#phase !== "startup") {
      const gain = this.#phase === "probe-rtt" ? probeRttGain : undefined;
      this.#setWindow(Math.min(this.#bound, model.window(gain)));
    }
    this.#lastInflight = this.#round.inflight;
    this.#round = new Round(nowMs);
    if (model.rate.perMs === 0 || !this.#isUnpaced) return;
    this.#pacedSinceMs = nowMs;
    model.rtt.forgetLate();
  }

  #learn(nowMs: number, elapsedMs: number, { delivered, lost, isFull, startMs }: Round): void {
    const { rtt, loss, rate, hasQueue, isDeep } = this.model;
    if (startMs > this.#cutAtMs + settleRounds * rtt.smoothedMs) {
      const isExcess = loss.isExcess(lost, delivered, isDeep);
      if (!hasQueue && this.#isSteady && startMs > this.#pacedSinceMs + rtt.smoothedMs) loss.learn(lost, delivered);
      if (isExcess && (this.#phase !== "startup" || lost > startupLoss * delivered)) this.#congested(nowMs);
    }
    rate.learn(delivered / elapsedMs, isFull && this.#phase !== "probe-rtt");
  }

  /** Whether what is lost now was sent when no more was asked for than the path delivers. */
  get #isSteady(): boolean {
    return this.#phase === "startup" || (this.#phase === "cruise" && this.#rounds > steadyRounds);
  }

  get #isUnpaced(): boolean {
    return this.#pacedSinceMs === Number.POSITIVE_INFINITY;
  }

  /** Ask for less, once in a round trip. */
  #congested(nowMs: number): void {
    const { rtt, rate, product } = this.model;
    if (nowMs - this.#cutAtMs < Math.max(rtt.smoothedMs, noiseMs)) return;
    const inflight = Math.min(Math.max(this.#round.inflight, this.#lastInflight), this.size);
    if (this.#phase === "startup") this.#drain(nowMs);
    else rate.lower();
    if (this.#phase === "up") this.#enter("down");
    this.#bound = cut * Math.max(inflight, product);
    this.#cutAtMs = nowMs;
  }

  #drain(nowMs: number): void {
    this.#cutAtMs = nowMs;
    this.#enter("drain");
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#rounds = 0;
  }

  #nextPhase(nowMs: number, elapsedMs: number): void {
    const { rtt, rate, product, isShort } = this.model;
    const rounds = this.#rounds;
    if (this.#phase === "startup") {
      if (this.#isFilled(elapsedMs)) this.#drain(nowMs);
    } else if (this.#phase === "drain") {
      if (rounds >= maxDrainRounds || this.#round.inflight <= product) this.#enter("up");
    } else if (this.#phase === "cruise") {
      if (!isShort && rtt.isStale(nowMs)) this.#enter("probe-rtt");
      else if (rounds >= cruiseRounds) this.#enter("up");
    } else if (this.#phase === "up") {
      this.#bound = Number.POSITIVE_INFINITY;
      this.#rateBeforeProbe = rate.perMs;
      this.#enter("down");
    } else if (this.#phase === "down") this.#judgeProbe();
    else if (rounds >= rttRounds) {
      rtt.renew(nowMs);
      this.#enter("up");
    }
  }

  /** Whether start-up has found the end of growth. */
  #isFilled(elapsedMs: number): boolean {
    const { rate, roundMs } = this.model;
    if (rate.perMs >= this.#bestRate * plateauGrowth) {
      this.#bestRate = rate.perMs;
      this.#plateau = 0;
    } else if (this.#round.isFull && elapsedMs < 2 * roundMs) this.#plateau++;
    return this.#plateau >= plateauRounds;
  }

  /** What was asked for more is delivered a round later. */
  #judgeProbe(): void {
    const { hasQueue, rate } = this.model;
    const grew = !hasQueue && rate.perMs > probeGrowth * this.#rateBeforeProbe;
    this.#probesThatGrew = grew ? this.#probesThatGrew + 1 : 0;
    this.#plateau = 0;
    if (!grew) this.#enter("cruise");
    else this.#enter(this.#probesThatGrew >= restartProbes ? "startup" : "up");
  }

  #setWindow(window: number): void {
    this.size = Math.min(this.#maxWindow, Math.max(minWindow, Math.floor(window)));
  }
}
