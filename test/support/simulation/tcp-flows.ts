/**
 * Other traffic on a simulated path: TCP that sends without end, with CUBIC (RFC 9438) or as BBR's first version does.
 * Simplified to what matters beside them: how they take and give back the queue.
 */
import type { Bottleneck } from "./bottleneck.ts";
import type { Simulator } from "./simulator.ts";

export const tcpPacketBytes = 1_500;

export interface TcpPath {
  readonly simulator: Simulator;
  readonly bottleneck: Bottleneck;
  /** Round trip without any queue. */
  readonly rttMs: number;
}

/** What is common: packets in flight, acknowledged one by one, lost ones noticed one round trip later. */
export abstract class TcpFlow {
  delivered = 0;
  protected readonly path: TcpPath;
  protected inflight = 0;
  constructor(path: TcpPath) {
    this.path = path;
  }

  protected send(): void {
    const { simulator, bottleneck, rttMs } = this.path;
    const sentAtMs = simulator.nowMs;
    this.inflight++;
    const isQueued = bottleneck.send(tcpPacketBytes, rttMs, () => {
      this.inflight--;
      this.delivered++;
      this.acknowledged(simulator.nowMs - sentAtMs);
    });
    if (isQueued) return;
    // Noticed when what was sent behind it has been acknowledged: the queue was full then.
    const { rate, queueBytes } = bottleneck.options;
    simulator.after(rttMs + (queueBytes * 8000) / rate, () => {
      this.inflight--;
      this.lost(sentAtMs);
    });
  }

  protected abstract acknowledged(rttMs: number): void;
  protected abstract lost(sentAtMs: number): void;
}

/** C and beta of RFC 9438, in packets and seconds. */
const [cubicC, cubicBeta] = [0.4, 0.7];

/** A flow with CUBIC and its Reno-friendly region. */
export class CubicFlow extends TcpFlow {
  #window = 10;
  #threshold = Number.POSITIVE_INFINITY;
  #maxWindow = 0;
  #cutAtMs = Number.NEGATIVE_INFINITY;
  #renoWindow = 0;

  constructor(path: TcpPath) {
    super(path);
    path.simulator.after(0, () => this.#fill());
  }

  #fill(): void {
    while (this.inflight < this.#window) this.send();
  }

  protected acknowledged(rttMs: number): void {
    const sinceS = (this.path.simulator.nowMs - this.#cutAtMs) / 1000;
    if (this.#window < this.#threshold) this.#window++;
    else {
      const k = Math.cbrt((this.#maxWindow * (1 - cubicBeta)) / cubicC);
      const target = cubicC * (sinceS + rttMs / 1000 - k) ** 3 + this.#maxWindow;
      this.#renoWindow += (3 * (1 - cubicBeta)) / (1 + cubicBeta) / this.#window;
      const goal = Math.max(Math.min(target, 1.5 * this.#window), this.#renoWindow);
      if (goal > this.#window) this.#window += (goal - this.#window) / this.#window;
    }
    this.#fill();
  }

  protected lost(sentAtMs: number): void {
    if (sentAtMs > this.#cutAtMs) {
      // Fast convergence (§ 4.7).
      this.#maxWindow = this.#window < this.#maxWindow ? (this.#window * (1 + cubicBeta)) / 2 : this.#window;
      this.#window = Math.max(2, this.#window * cubicBeta);
      this.#threshold = this.#renoWindow = this.#window;
      this.#cutAtMs = this.path.simulator.nowMs;
    }
    this.#fill();
  }
}

const gains = [1.25, 0.75, 1, 1, 1, 1, 1, 1];

/** A flow that does what BBR's first version does: no heed of loss, two bandwidth-delay products in flight. */
export class BbrFlow extends TcpFlow {
  #rate = 0;
  #rates: number[] = [];
  #minRttMs = Number.POSITIVE_INFINITY;
  #minRttAtMs = 0;
  #phase = 0;
  #isStartup = true;
  #plateau = 0;
  #bestRate = 0;
  #roundDelivered = 0;
  #probeUntilMs = 0;
  #recentMs = Number.POSITIVE_INFINITY;
  #credit = 0;

  constructor(path: TcpPath) {
    super(path);
    path.simulator.after(0, () => {
      for (let i = 0; i < 10; i++) this.send();
    });
    path.simulator.every(1, () => this.#pace());
    path.simulator.after(path.rttMs, () => this.#endRound());
  }

  #pace(): void {
    const now = this.path.simulator.nowMs;
    const gain = this.#isStartup ? 2.885 : gains[this.#phase]!;
    this.#credit = Math.min(64, this.#credit + gain * this.#rate);
    const product = this.#rate * this.#minRttMs;
    const window = now < this.#probeUntilMs ? 4 : Math.max(4, (this.#isStartup ? 2.885 : 2) * product);
    while (this.#credit >= 1 && this.inflight < window) {
      this.#credit--;
      this.send();
    }
  }

  #endRound(): void {
    const { simulator, rttMs } = this.path;
    const now = simulator.nowMs;
    const roundMs = Math.max(rttMs, Math.min(this.#minRttMs, 10_000));
    this.#rates.push((this.delivered - this.#roundDelivered) / roundMs);
    if (this.#rates.length > 10) this.#rates.shift();
    this.#roundDelivered = this.delivered;
    this.#rate = Math.max(...this.#rates);
    if (this.#isStartup) this.#judgeStartup();
    else this.#phase = (this.#phase + 1) % gains.length;
    if (now - this.#minRttAtMs > 10_000 && now > this.#probeUntilMs) {
      this.#probeUntilMs = now + 200 + roundMs;
      this.#recentMs = Number.POSITIVE_INFINITY;
      simulator.at(this.#probeUntilMs, () => {
        this.#minRttMs = this.#recentMs;
        this.#minRttAtMs = simulator.nowMs;
      });
    }
    simulator.after(roundMs, () => this.#endRound());
  }

  #judgeStartup(): void {
    if (this.#rate > 1.25 * this.#bestRate) {
      this.#bestRate = this.#rate;
      this.#plateau = 0;
    } else if (++this.#plateau >= 3) this.#isStartup = false;
  }

  protected acknowledged(rttMs: number): void {
    if (rttMs <= this.#minRttMs) {
      this.#minRttMs = rttMs;
      this.#minRttAtMs = this.path.simulator.nowMs;
    }
    this.#recentMs = Math.min(this.#recentMs, rttMs);
  }

  protected lost(): void {
    // Sent again as a new packet.
  }
}
