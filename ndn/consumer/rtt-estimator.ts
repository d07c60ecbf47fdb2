/**
 * Round-trip times, and how long to wait for an answer; in milliseconds.
 */

/** Below this a retransmission would be suppressed by a forwarder that still has the Interest pending (ndnd: 400 ms). */
export const minRtoMs = 420;
/** The lifetime of an Interest: after it no forwarder remembers one. */
const maxRtoMs = 4_000;
const firstRtoMs = 1_000;
const maxBackoff = 8;
/** Answers may overtake each other by this much in any case. */
const minReorderingMs = 4;
/** What has been seen is forgotten by so much with each answer, and taken with this much in reserve. */
const [lagDecay, lagShare] = [1 / 1024, 1.25];

/**
 * Retransmission timeout as in RFC 6298, for Interests.
 *
 * There is one for each uplink and one for each fetch. A server answers some objects from memory while it reads others
 * from a registry, so what is measured of one fetch says nothing about another: the RTO of a fetch follows its own
 * answers, and only begins with what is known of the uplink (as a TCP connection may with what another to the same host
 * has measured, RFC 9040).
 */
export class RttEstimator {
  smoothedMs = 0;
  #variationMs = 0;
  /** By how much answers have been overtaken of late. */
  #lagMs = 0;
  #backoff = 1;

  /** @param seed - What to begin with; later samples count against it as against any earlier one. */
  constructor(seed?: RttEstimator) {
    if (seed === undefined) return;
    this.smoothedMs = seed.smoothedMs;
    this.#variationMs = seed.#variationMs;
    this.#lagMs = seed.#lagMs;
  }

  /** Learn from a segment that was asked for once only (Karn's algorithm, RFC 6298 § 3). */
  sample(rttMs: number): void {
    this.#lagMs -= this.#lagMs * lagDecay;
    if (this.smoothedMs === 0) {
      this.smoothedMs = rttMs;
      this.#variationMs = rttMs / 2;
    } else {
      this.#variationMs = 0.75 * this.#variationMs + 0.25 * Math.abs(this.smoothedMs - rttMs);
      this.smoothedMs = 0.875 * this.smoothedMs + 0.125 * rttMs;
    }
    this.#backoff = 1;
  }

  /**
   * Learn from a segment that was asked for more than once, the first time so long ago. Which of the Interests was
   * answered is unknown: that is no round-trip time, but within an RTO a bound on how late answers come. Without it a path
   * with two latencies, such as one with a cache that has every second segment, would never have any but its shorter one
   * measured. And someone answers, which ends the back-off.
   */
  sampleLate(): void {
    this.#backoff = 1;
  }

  /** An answer came although one to an Interest that was sent so much later had been there before. */
  overtaken(lagMs: number): void {
    if (lagMs > this.#lagMs) this.#lagMs = Math.min(lagMs, this.rtoMs);
  }

  get rtoMs(): number {
    const estimate = this.smoothedMs === 0 ? firstRtoMs : this.smoothedMs + 4 * this.#variationMs;
    return Math.min(maxRtoMs, Math.max(minRtoMs, estimate) * this.#backoff);
  }

  /** Mean deviation from the smoothed time. */
  get variationMs(): number {
    return this.#variationMs;
  }

  /** Answers may overtake each other by so much without the earlier one being lost. */
  get reorderingMs(): number {
    return Math.max(minReorderingMs, this.smoothedMs / 4, lagShare * this.#lagMs);
  }

  /** The timer has expired: double the RTO (RFC 6298 § 5.5). */
  timedOut(): void {
    this.#backoff = Math.min(maxBackoff, this.#backoff * 2);
  }
}
