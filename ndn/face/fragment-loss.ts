/**
 * How many of the fragments that were sent did not arrive, by the packets that others of their fragments belong to.
 */

/** Below this many there is no saying. */
const leastFragments = 500;
/** What happened before this many counts half. */
const halvedAfter = 4_000;
/** A path that nothing has been heard of for this long may be another one by now. */
const forgottenMs = 60_000;

/** See above. */
export class FragmentLoss {
  #fragments = 0;
  #missing = 0;
  #atMs = 0;

  /** A packet of so many fragments is whole, or is given up without some of them. */
  note(fragments: number, missing: number, nowMs: number): void {
    if (nowMs - this.#atMs > forgottenMs || this.#fragments > halvedAfter) {
      const kept = nowMs - this.#atMs > forgottenMs ? 0 : 0.5;
      this.#fragments *= kept;
      this.#missing *= kept;
    }
    this.#fragments += fragments;
    this.#missing += missing;
    this.#atMs = nowMs;
  }

  /** Share of what was sent, 0 to 1; 0 while too little is known. */
  get share(): number {
    const isKnown = this.#fragments >= leastFragments && performance.now() - this.#atMs <= forgottenMs;
    return isKnown ? this.#missing / this.#fragments : 0;
  }
}
