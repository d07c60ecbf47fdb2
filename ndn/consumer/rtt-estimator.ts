/**
 * Round-trip time and retransmission timeout (RFC 6298), for Interests.
 */

/** Below this a retransmission would be suppressed by a forwarder that still has the Interest pending (ndnd: 400 ms). */
const minRtoMs = 420;
const maxRtoMs = 4_000;
const firstRtoMs = 1_000;

/** Smoothed RTT and RTO of one uplink; times in milliseconds. */
export class RttEstimator {
  smoothedMs = 0;
  private variationMs = 0;
  private backoff = 1;
  private backedOffAt = Number.NEGATIVE_INFINITY;

  /** Learn from a segment that was asked for once only (Karn's rule is the caller's). */
  sample(rttMs: number): void {
    if (this.smoothedMs === 0) {
      this.smoothedMs = rttMs;
      this.variationMs = rttMs / 2;
    } else {
      this.variationMs = 0.75 * this.variationMs + 0.25 * Math.abs(this.smoothedMs - rttMs);
      this.smoothedMs = 0.875 * this.smoothedMs + 0.125 * rttMs;
    }
    this.backoff = 1;
  }

  get rtoMs(): number {
    const estimate = this.smoothedMs === 0 ? firstRtoMs : this.smoothedMs + 4 * this.variationMs;
    return Math.min(maxRtoMs, Math.max(minRtoMs, estimate) * this.backoff);
  }

  /** A timeout: double the RTO, at most once per RTO. */
  timedOut(nowMs: number): void {
    if (nowMs - this.backedOffAt < this.rtoMs) return;
    this.backedOffAt = nowMs;
    this.backoff = Math.min(8, this.backoff * 2);
  }
}
