/**
 * Who may ask next, and how much: the congestion window shared by the fetches that would use more of it.
 */
import type { PathLoad } from "./prefix-path.ts";

/** A fetch, seen from the window. */
interface Asker {
  /** Whether it is among those that share the window; for `WindowShare` alone. */
  isHungry: boolean;
  readonly asked: { readonly outstanding: number };
  /** The segment to ask for next, which then counts as asked for; -1 when there is none now. */
  nextToAsk(nowMs: number): number;
}

/**
 * A share is no less, so that a server that reads pages of a registry is asked for enough of each object to begin
 * with, as long as such shares are no more than so many together.
 */
const [minShare, minShares] = [16, 256];

/** What may be asked now. */
interface Allowance {
  /** Interests in flight at most, */
  readonly window: number;
  /** and how many may be sent. */
  readonly credit: number;
}

/** The fetches that are hungry: they have something to ask, as far as is known. */
export class WindowShare<Fetch extends Asker> {
  readonly #maxWindow: number;
  readonly #hungry: Fetch[] = [];
  #turn = 0;

  constructor(maxWindow: number) {
    this.#maxWindow = maxWindow;
  }

  get size(): number {
    return this.#hungry.length;
  }

  /** The fetch may have something to ask. */
  add(fetch: Fetch): void {
    if (fetch.isHungry) return;
    fetch.isHungry = true;
    this.#hungry.push(fetch);
  }

  remove(fetch: Fetch): void {
    if (!fetch.isHungry) return;
    fetch.isHungry = false;
    this.#hungry.splice(this.#hungry.indexOf(fetch), 1);
  }

  /**
   * Ask round robin, one segment of each fetch at a time, until the window is full or each has its share: the whole
   * window when it is alone. One that has nothing in flight asks for a segment also when the window is full, as every TCP
   * connection may: what fills the window may all be waiting at the server, and only the answer to another tells. Those
   * with nothing to ask leave.
   * @returns how many were asked for.
   */
  fill({ window, credit }: Allowance, load: PathLoad, nowMs: number, ask: (fetch: Fetch, n: number) => void): number {
    const hungry = this.#hungry;
    const share = this.#share(window);
    let [satisfied, sent] = [0, 0];
    while (sent < credit && satisfied < hungry.length && load.onPath + load.waiting < this.#maxWindow) {
      this.#turn = (this.#turn + 1) % hungry.length;
      const fetch = hungry[this.#turn]!;
      if (fetch.asked.outstanding >= (load.onPath < window ? share : 1)) {
        satisfied++;
        continue;
      }
      const n = fetch.nextToAsk(nowMs);
      if (n < 0) this.#leave(this.#turn);
      else {
        satisfied = 0;
        sent++;
        ask(fetch, n);
      }
    }
    return sent;
  }

  #share(window: number): number {
    const { length } = this.#hungry;
    return Math.max(window / length, Math.min(minShare, minShares / length), 1);
  }

  /** The last one takes the place, and with it the turn, of the one that leaves. */
  #leave(at: number): void {
    const last = this.#hungry.pop()!;
    const leaving = this.#hungry[at] ?? last;
    leaving.isHungry = false;
    if (leaving !== last) this.#hungry[at] = last;
    this.#turn = at - 1;
  }
}
