/**
 * The path over one uplink to whoever answers under one prefix. A registry in the next room and one behind a satellite
 * may share a face, but no window.
 */
import type { Answer } from "./asked-segments.ts";
import { CongestionControl, type CongestionLimits } from "./congestion-control.ts";
import { RttEstimator } from "./rtt-estimator.ts";
import type { SegmentFetch } from "./segment-fetch.ts";
import { WindowShare } from "./window-share.ts";

/** An answer that is overtaken by more, or by a quarter of the round trip, comes from farther away. */
const minLagMs = 4;

/** What the Interests of all fetches over a path amount to. */
export interface PathLoad {
  /** Those that may be on the path, as far as one can tell: what the congestion window bounds. */
  onPath: number;
  /**
   * Those that others, sent later, have overtaken: they wait for something at the server, or are lost. The path has room
   * for as many more.
   */
  waiting: number;
}

/** What is known of a path, and who shares it; it outlives its fetches, and holds nothing that has to be closed. */
export class PrefixPath {
  readonly control: CongestionControl;
  readonly rtt = new RttEstimator();
  readonly load: PathLoad = { onPath: 0, waiting: 0 };
  /** The fetches that have something to ask, as far as is known, in the order in which their turn comes. */
  readonly share: WindowShare<SegmentFetch>;
  /** Fetches under way. */
  fetches = 0;
  /** When a segment last arrived, on the clock of `performance.now()`. */
  answeredAtMs = Number.NEGATIVE_INFINITY;
  /** When the latest Interest among those answered was sent. */
  #newestAnsweredMs = Number.NEGATIVE_INFINITY;

  constructor(limits: CongestionLimits) {
    this.control = new CongestionControl(limits);
    this.share = new WindowShare(limits.maxWindow);
  }

  /** Interests sent before this have been overtaken by those of other fetches. */
  get overtakenBeforeMs(): number {
    return this.#newestAnsweredMs - this.rtt.reorderingMs;
  }

  /** A segment arrived. */
  answered({ sentAtMs, lagMs, isFar, hadWaited }: Answer, nowMs: number): void {
    this.answeredAtMs = nowMs;
    const { control, rtt } = this;
    if (isFar) control.notLost();
    const isOvertaken = lagMs > Math.max(minLagMs, control.model.rtt.minMs / 4);
    const isTimed = !Number.isNaN(sentAtMs);
    if (isTimed) {
      rtt.sample(nowMs - sentAtMs);
      if (isOvertaken) rtt.overtaken(lagMs);
      this.#newestAnsweredMs = Math.max(this.#newestAnsweredMs, sentAtMs);
    }
    // What has waited at the server says nothing about the path.
    const isOfPath = isTimed && (isOvertaken || !hadWaited);
    control.delivered(nowMs, isOfPath ? nowMs - sentAtMs : undefined, isOvertaken, this.load.onPath);
  }

  /**
   * Ask as long as window and pace admit.
   * @returns whether it was the pace that ended it: there will be more to ask in a moment.
   */
  fill(nowMs: number, ask: (fetch: SegmentFetch, n: number) => void): boolean {
    const { control, load, share } = this;
    const credit = Math.floor(control.credit(nowMs));
    const asked = share.fill({ window: control.size, credit }, load, nowMs, ask);
    control.sent(asked);
    return asked >= credit && share.size > 0;
  }
}
