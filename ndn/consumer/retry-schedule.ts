/**
 * When an Interest for a single packet is sent again.
 *
 * Soon, and a few times, so that a loss costs little more than a round trip: an Interest is small. Then at
 * intervals that a forwarder which has it pending does not suppress.
 */
import { minRtoMs, RttEstimator } from "./rtt-estimator.ts";

/** Where nothing is known of the path. */
const firstContactMs = 200;
/** Answers may take so much longer in any case: programs are busy now and then. */
const minVariationMs = 20;
const maxEarlyTries = 3;

/** Learns from answers when the next ones are due; for one prefix over one uplink, or all of an uplink. */
export class RetrySchedule {
  /** With the time that the server takes. */
  readonly rtt = new RttEstimator();

  /** Milliseconds before each retransmission, without end. */
  *delays(): Generator<number, never> {
    const { smoothedMs, variationMs } = this.rtt;
    let delayMs = smoothedMs === 0 ? firstContactMs : smoothedMs + Math.max(minVariationMs, variationMs);
    const rtoMs = Math.max(minRtoMs, delayMs);
    let waitedMs = 0;
    for (let tries = 0; tries < maxEarlyTries && waitedMs + delayMs < rtoMs; tries++) {
      yield delayMs;
      waitedMs += delayMs;
      delayMs *= 2;
    }
    yield rtoMs - waitedMs;
    for (;;) yield rtoMs;
  }

  /**
   * An answer came so long after the first Interest and after the last one. Which of them it answers is unknown if they
   * are not the same: it has taken no longer than the one says, and no less than the other.
   */
  answered(sinceFirstMs: number, sinceLastMs: number): void {
    const { smoothedMs } = this.rtt;
    const isOfOne = sinceFirstMs === sinceLastMs || smoothedMs === 0;
    this.rtt.sample(isOfOne ? sinceFirstMs : Math.max(sinceLastMs, smoothedMs));
  }
}
