/**
 * A client that fetches without end over a simulated path, with the product's own congestion control and loss recovery.
 */
import { AskedSegments } from "#ndn/consumer/asked-segments.ts";
import type { CongestionControl } from "#ndn/consumer/congestion-control.ts";
import { PrefixPath } from "#ndn/consumer/prefix-path.ts";
import type { Bottleneck } from "./bottleneck.ts";
import type { Simulator } from "./simulator.ts";

/** A segment of 8192 bytes with its name, and what is around it. */
export const dataBytes = 8_340;
const capacity = 32_000;

export interface NdnRoute {
  readonly simulator: Simulator;
  readonly bottleneck: Bottleneck;
  /** Round trip without any queue. */
  readonly rttMs: number;
  /** Segments that a cache before the bottleneck answers. */
  readonly isCached?: (n: number) => boolean;
  readonly cacheRttMs?: number;
}

export class NdnFlow {
  readonly control: CongestionControl;
  readonly asked: AskedSegments;
  /** Segments that have arrived, and the Interests sent. */
  delivered = 0;
  interests = 0;
  retransmissions = 0;
  readonly #route: NdnRoute;
  readonly #path: PrefixPath;
  readonly #here = new Uint8Array(capacity);
  #next = 0;
  #base = 0;
  #isPlanned = false;
  #isPaced = false;
  isStopped = false;

  constructor(route: NdnRoute, maxWindow = 8_192) {
    const { simulator } = route;
    this.#route = route;
    this.#path = new PrefixPath({ maxWindow });
    this.control = this.#path.control;
    this.asked = new AskedSegments(capacity, this.#path);
    simulator.after(0, this.#fill);
    simulator.every(10, () => {
      this.asked.findLost(simulator.nowMs, this.#path.overtakenBeforeMs, () => false);
      this.#fillSoon();
    });
  }

  #fillSoon(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    this.#route.simulator.after(0, this.#fill);
  }

  readonly #fill = (): void => {
    this.#isPlanned = false;
    const { control, asked } = this;
    const now = this.#route.simulator.nowMs;
    const credit = control.credit(now);
    let sent = 0;
    while (sent < credit && this.#path.load.onPath < control.size && !this.isStopped) {
      let n = asked.nextLost(now, this.#isHere);
      if (n < 0) {
        if (asked.isSilent || this.#next - this.#base >= capacity) break;
        n = this.#next++;
        this.#here[n % capacity] = 0;
      }
      sent++;
      asked.asked(n, now);
      this.interests++;
      if (asked.tries(n) > 1) this.retransmissions++;
      this.#send(n);
    }
    control.sent(sent);
    if (sent >= credit && this.#path.load.onPath < control.size) this.#fillLater();
  };

  #fillLater(): void {
    if (this.#isPaced) return;
    this.#isPaced = true;
    this.#route.simulator.after(1, () => {
      this.#isPaced = false;
      this.#fillSoon();
    });
  }

  #send(n: number): void {
    const { simulator, bottleneck, rttMs, isCached, cacheRttMs = 1 } = this.#route;
    if (isCached?.(n)) {
      simulator.after(cacheRttMs, () => this.#arrived(n, false));
      return;
    }
    simulator.after(rttMs / 2, () => bottleneck.send(dataBytes, rttMs / 2, (isMarked) => this.#arrived(n, isMarked)));
  }

  readonly #isHere = (n: number) => n < this.#base || this.#here[n % capacity] === 1;

  #arrived(n: number, isMarked: boolean): void {
    if (this.#isHere(n)) return;
    const { asked, control } = this;
    const now = this.#route.simulator.nowMs;
    asked.answered(n, now);
    this.#here[n % capacity] = 1;
    while (this.#base < this.#next && this.#here[this.#base % capacity] === 1) this.#base++;
    this.delivered++;
    this.#path.answered(asked.answer, now);
    if (isMarked) control.marked(now);
    this.#fillSoon();
  }
}
