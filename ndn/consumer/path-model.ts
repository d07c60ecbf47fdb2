/**
 * What is known of a path: the rate at which it delivers, its round-trip time without a queue, and what it loses anyway;
 * and the window and pace that follow from that.
 */
import { DeliveryRate } from "./delivery-rate.ts";
import { LossRate } from "./loss-rate.ts";
import { PathRtt } from "./path-rtt.ts";

/** Noise of timers and scheduling, which is no queue. */
export const noiseMs = 4;
/** Beyond the path's own round trip, as a share of it: a queue, and a deep one. */
const [queueShare, deepShare] = [1 / 8, 0.4];
/** Rates are measured over at least this: on a short path answers come in bursts that say little about it. */
const minRoundMs = 20;
/** The window in bandwidth-delay products, on a long path and on a short one. The pace decides on a long one, */
const [longGain, shortGain] = [2, 1.25];
/**
 * and the window on a short one, where answers come in bursts as large as the product: with that alone it would stop and
 * go. Segments beyond the product.
 */
const [longAllowance, shortAllowance] = [8, 48];
/** What the pace in steady state may differ by, to have the queue that is aimed at, */
const maxTrim = 0.1;
/** in square roots of the segments of a bandwidth-delay product. */
const queueGoal = 1;

/** The model of one path. */
export class PathModel {
  readonly rtt = new PathRtt();
  readonly loss = new LossRate();
  readonly rate = new DeliveryRate();

  /** The time in which one window is answered. */
  get roundMs(): number {
    return Math.max(this.rtt.farthestMs, this.rtt.smoothedMs, minRoundMs);
  }

  /** Whether the path is so short that its round trip is lost in noise. */
  get isShort(): boolean {
    return this.#shortness === 1;
  }

  /** 1 on such a path, towards 0 the longer it is. */
  get #shortness(): number {
    return Math.min(1, noiseMs / this.rtt.meanMinMs);
  }

  /** Segments that the path holds without a queue. */
  get product(): number {
    return this.rate.perMs * Math.max(this.rtt.meanMinMs, 1);
  }

  /** Whether a queue has stood during the last round, */
  get hasQueue(): boolean {
    return this.rtt.excessMs > Math.max(noiseMs, queueShare * this.rtt.farthestMs);
  }

  /** and whether a deep one has. */
  get isDeep(): boolean {
    return this.rtt.excessMs > Math.max(noiseMs, deepShare * this.rtt.farthestMs);
  }

  /** Whether the last answers have all stood in a queue, of at least this share of the round trip. */
  isLate(share = queueShare): boolean {
    return this.rtt.lateMs > Math.max(noiseMs, share * this.rtt.minMs);
  }

  /** Segments that may be in flight. @param gain - In bandwidth-delay products. @defaultValue as the path needs it */
  window(gain?: number): number {
    const shortness = this.#shortness;
    const usual = longGain + (shortGain - longGain) * shortness;
    return (gain ?? usual) * this.product + Math.max(longAllowance, shortAllowance * shortness);
  }

  /**
   * Interests per millisecond; infinite on a short path, where timers are too coarse and the window alone decides.
   *
   * @param gain - Of the rate that the path delivers.
   */
  pace(gain: number): number {
    const { perMs } = this.rate;
    if (perMs === 0 || this.isShort) return Number.POSITIVE_INFINITY;
    return gain * perMs;
  }

  /**
   * The gain in steady state: about 1. The aim is a queue that grows slower than the rate: of those who share one, the
   * slower ones then speed up, and the faster ones slow down (as in Vegas, FAST and Copa).
   */
  get steadyGain(): number {
    const product = Math.max(1, this.product);
    const own = this.rate.perMs * Math.max(0, this.rtt.excessMs - noiseMs * this.#shortness);
    return 1 + Math.max(-maxTrim, Math.min(maxTrim, (queueGoal * Math.sqrt(product) - own) / product));
  }
}
