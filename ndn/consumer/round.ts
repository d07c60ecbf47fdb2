/**
 * What happens on a path in one round trip.
 */
export class Round {
  readonly startMs: number;
  delivered = 0;
  lost = 0;
  /** Most that was in flight. */
  inflight = 0;
  /** Whether the window was in use. */
  isFull = false;

  constructor(startMs: number) {
    this.startMs = startMs;
  }
}
