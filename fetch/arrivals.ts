/** A fetch of which nothing has come for so long waits for a silent source: more readers are not to wait for it as well. */
const silenceMs = 15_000;
/** Without readers it is begun anew sooner: that costs no one more than a request. */
const unreadSilenceMs = 2_000;

/** When something has come last. */
export class Arrivals {
  #lastMs = performance.now();

  /** To be called when bytes come. */
  readonly note = (): void => {
    this.#lastMs = performance.now();
  };

  /** Whether nothing has come for 15 s, or for 2 s where there are no readers. */
  isSilent(readers: number): boolean {
    return performance.now() - this.#lastMs > (readers > 0 ? silenceMs : unreadSilenceMs);
  }
}
