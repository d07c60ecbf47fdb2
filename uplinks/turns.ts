/**
 * Whose turn it is on an uplink: so many reads at a time that the window is enough for each to be efficient; the others
 * wait, first come, first served. What no one waits for (fetched ahead, or far ahead of its readers) comes last, and
 * gives way between two pieces.
 */
import { BlobUnavailable } from "#blob/source.ts";
import { type ReadKind, Turn, type TurnWish } from "./turn.ts";

/** How many may read at a time. Small reads are over at once: they have turns of their own, and wait for no large one. */
const smallAtOnce = 64;
/** Of the large ones as many as fill the window twice with this many segments each, within bounds. */
const segmentsEach = 64;
const [largeAtLeast, largeAtMost] = [8, 64];
/** Reads that may wait; pullers' connections are bounded below that. */
const maxWaiting = 4_096;

/** How often it is looked whether those whose turn it is use the path. */
const lookEveryMs = 20;
/** A puller is not to wait without end for others that take long: one that has waited for so long is let in, */
const patienceMs = 5_000;
/** one in this time. */
const overdueEveryMs = 250;

/** How many use the uplink, large ones that are back apart from the others, and how many wait that are waited for. */
type Load = Record<ReadKind | "resumed" | "waiting", number>;

/** The turns on one uplink, shared by the blobs of all registries. */
export class Turns {
  readonly #window: { readonly size: number };
  readonly #running = new Set<Turn>();
  readonly #queue = new Set<Turn>();
  /** Whether a read that is waited for wants the path: others give way. */
  #isWanted = false;
  #timer: NodeJS.Timeout | undefined;
  #lookedAtMs = 0;
  #overdueAtMs = Number.NEGATIVE_INFINITY;

  /** @param window - Segments that may be in flight on the uplink. */
  constructor(window: { readonly size: number }) {
    this.#window = window;
  }

  /** Reads whose turn it is. */
  get running(): number {
    return this.#running.size;
  }

  /** Reads that wait for their turn. */
  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Wait for a turn; it is over when it is ended, or `signal` fires.
   *
   * @throws BlobUnavailable when too many wait already.
   * @throws The signal's reason.
   */
  async take(wish: TurnWish, signal: AbortSignal): Promise<Turn> {
    if (this.#queue.size >= maxWaiting) throw new BlobUnavailable(`${maxWaiting} reads wait for the uplink already`);
    const turn: Turn = new Turn(wish, {
      onChange: this.#serve,
      pause: () => (this.#isWanted && turn.kind === "spare" ? this.#wait(turn, signal) : undefined),
      onEnd: () => {
        signal.removeEventListener("abort", turn.end);
        if (this.#running.delete(turn)) this.#serve();
      },
    });
    await this.#wait(turn, signal);
    if (signal.aborted) turn.end();
    signal.throwIfAborted();
    signal.addEventListener("abort", turn.end, { once: true });
    return turn;
  }

  async #wait(turn: Turn, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => {
      reject(signal.reason);
      if (this.#queue.delete(turn)) this.#serve();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    turn.waits(performance.now(), resolve);
    this.#running.delete(turn);
    this.#queue.add(turn);
    this.#serve();
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Let those in whose turn it is. */
  readonly #serve = (): void => {
    const load: Load = { small: 0, large: 0, resumed: 0, spare: 0, waiting: 0 };
    for (const turn of this.#running) if (turn.isUsing) load[placeOf(turn)]++;
    for (const { kind } of this.#queue) if (kind !== "spare") load.waiting++;
    for (const turn of this.#queue) if (this.#isNext(turn, load)) this.#admit(turn, load);
    this.#isWanted = isWanted(load);
    this.#watch(this.#queue.size > 0 || this.#running.size > 1);
  };

  #isNext({ kind, hasBegun }: Turn, load: Load): boolean {
    if (kind === "small") return hasBegun || load.small < smallAtOnce;
    const large = Math.ceil((2 * this.#window.size) / segmentsEach);
    const largeAtOnce = Math.min(largeAtMost, Math.max(largeAtLeast, large));
    if (kind === "spare") return !isWanted(load) && load.spare < largeAtOnce;
    // Those that are back have slow readers, who have what lasts them for a while: hundreds would leave a new one little.
    return (hasBegun ? load.resumed : load.large) < largeAtOnce;
  }

  #admit(turn: Turn, load?: Load): void {
    const { kind } = turn;
    this.#queue.delete(turn);
    this.#running.add(turn);
    turn.begins(performance.now());
    if (!load) return;
    load[placeOf(turn)]++;
    if (kind !== "spare") load.waiting--;
  }

  /** While several read: what each of them does changes without a word. */
  #watch(isToBeWatched: boolean): void {
    if (isToBeWatched === (this.#timer !== undefined)) return;
    clearInterval(this.#timer);
    this.#lookedAtMs = performance.now();
    this.#timer = isToBeWatched ? setInterval(this.#look, lookEveryMs) : undefined;
  }

  readonly #look = (): void => {
    const nowMs = performance.now();
    for (const turn of this.#running) turn.judge(nowMs, nowMs - this.#lookedAtMs);
    this.#lookedAtMs = nowMs;
    let overdue: Turn | undefined;
    for (const turn of this.#queue) {
      turn.stillWaits();
      if (!overdue && nowMs - turn.waitsSinceMs >= patienceMs) overdue = turn;
    }
    if (overdue && nowMs - this.#overdueAtMs >= overdueEveryMs) {
      this.#overdueAtMs = nowMs;
      this.#admit(overdue);
    }
    this.#serve();
  };
}

function placeOf({ kind, isResumed }: Turn): ReadKind | "resumed" {
  return kind === "large" && isResumed ? "resumed" : kind;
}

function isWanted({ small, large, waiting }: Load): boolean {
  return small + large + waiting > 0;
}
