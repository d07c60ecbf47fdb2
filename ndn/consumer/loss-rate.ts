/**
 * What a path loses whatever is sent, and what it loses because too much is.
 */

/** The floor is learned from about so many packets, and no round teaches more than this share of it. */
const [memoryPackets, maxStep] = [500, 0.25];
/** Loss above the floor that is congestion, as a share of what was sent: without a deep queue, and with one. */
const [excessShare, deepExcessShare] = [0.02, 0.005];
/** It also has to be more than chance: by so many standard deviations of a path that loses this at least, */
const [deviations, minFloor] = [2, 0.002];
/** and by so many packets, unless a path that loses nothing has a deep queue. */
const minLost = 3;
const nothing = 0.001;

/** Loss of one path. */
export class LossRate {
  /** Share of the packets that is lost when there is no queue, 0 to 1. */
  floor = 0;
  #packets = 0;

  /** Learn from packets that were sent when there was no queue. */
  learn(lost: number, delivered: number): void {
    const count = lost + delivered;
    if (count === 0) return;
    const step = this.#packets === 0 ? 1 : maxStep;
    this.#packets = Math.min(memoryPackets, this.#packets + count);
    this.floor += (lost / count - this.floor) * Math.min(step, count / this.#packets);
  }

  /** Whether more is lost than the path loses anyway. */
  isExcess(lost: number, delivered: number, isDeep: boolean): boolean {
    if (lost < minLost) return isDeep && lost > 0 && this.floor < nothing;
    const count = lost + delivered;
    const chance = deviations * Math.sqrt(Math.max(this.floor, minFloor) / count);
    return lost / count > this.floor + (isDeep ? deepExcessShare : excessShare) + chance;
  }
}
