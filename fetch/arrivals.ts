/**
 * When something has come last of a blob that is being fetched: a silent source is waited for by those who are there
 * already, and not for no one. A fetch to which others are preferred is not silent.
 */

/** More readers are not to wait for a source as well of which nothing has come for so long. */
const silenceMs = 15_000;
/** Without readers a fetch is begun anew sooner: that costs no one more than a request. */
const unreadSilenceMs = 2_000;

/** When something has come last. */
export class Arrivals {
  /** How often something has come. */
  count = 0;
  #lastMs = performance.now();

  /** To be called when bytes come. */
  readonly note = (): void => {
    this.count += 1;
    this.#lastMs = performance.now();
  };

  /** Whether nothing has come for 15 s, or for 2 s where there are no readers. */
  isSilent(readers: number): boolean {
    return performance.now() - this.#lastMs > (readers > 0 ? silenceMs : unreadSilenceMs);
  }
}

const defaultLingerMs = 10_000;

/**
 * Ends a fetch that all its readers have left, if it is not worth to be continued for no one: containerd drops its first
 * request on purpose, and asks for parts next.
 */
export class Lingering {
  readonly #arrivals: Arrivals;
  #timer: NodeJS.Timeout | undefined;

  constructor(arrivals: Arrivals) {
    this.#arrivals = arrivals;
  }

  /**
   * After `ms`, 10 s by default, the fetch is cancelled, unless it is worth to be brought to its end: then it is only
   * when nothing has come in `ms`. An upstream has the patience of those who wait.
   */
  begin(isWorthIt: () => boolean, cancel: () => void, ms: number = defaultLingerMs, before: number = 0): void {
    this.#timer = setTimeout(() => {
      const { count } = this.#arrivals;
      if (isWorthIt() && count > before) this.begin(isWorthIt, cancel, ms, count);
      else cancel();
    }, ms);
  }

  /** Someone reads again, or nothing is left to be read. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
