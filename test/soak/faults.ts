/** What goes wrong during the soak: each fault is begun, lasts a while, and is undone. */
import { setTimeout as delay } from "node:timers/promises";
import { below, oneOf } from "#test/support/seeded-random.ts";
import type { LinkOrder } from "./link.ts";
import type { Network } from "./network.ts";
import type { Part, Parts } from "./parts.ts";

type Random = () => number;

interface SoakFault {
  readonly kind: string;
  /** Begin; resolves to what undoes it. */
  begin(): Promise<() => Promise<void>>;
}

/** Injects one fault after another until it is told to stop; everything is undone then. */
export class Faults {
  readonly counts = new Map<string, number>();
  readonly #all: readonly SoakFault[];
  readonly #random: Random;

  constructor(parts: Parts, network: Network, random: Random) {
    this.#random = random;
    this.#all = [...linkFaults(parts, random), ...partFaults(parts), trunkDown(network)];
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const fault = oneOf(this.#random, this.#all);
      this.counts.set(fault.kind, (this.counts.get(fault.kind) ?? 0) + 1);
      const undo = await fault.begin();
      await this.#pause(500 + below(this.#random, 3_000), signal);
      await undo();
      await this.#pause(below(this.#random, 4_000), signal);
    }
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await delay(ms, undefined, { signal }).catch(() => undefined); // stopped: the fault is still undone
  }
}

/** On the NDN link between the routers. */
function linkFaults(parts: Parts, random: Random): SoakFault[] {
  const order = (kind: string, what: () => LinkOrder): SoakFault => ({
    kind,
    async begin() {
      parts.link.tell(what());
      return async () => parts.link.tell({});
    },
  });
  return [
    order("loss", () => ({ options: { loss: 0.005 + 0.1 * random() } })),
    order("delay and reordering", () => ({ options: { delayMs: 60 * random(), reordering: 0.1, reorderMs: 20 } })),
    order("duplication", () => ({ options: { duplication: 0.3 } })),
    order("corruption", () => ({ options: { corruption: 0.01 } })),
    order("narrow link", () => ({ options: { bitsPerSecond: 20e6, delayMs: 20 } })),
    order("forgery", () => ({ forged: 0.02 })),
    order("truncation", () => ({ truncated: 0.02 })),
    order("black hole", () => ({ options: { loss: 1 } })),
    order("link stops reading", () => ({ isReading: false })),
    {
      kind: "link cut",
      async begin() {
        parts.link.tell({ cut: true });
        return () => parts.routeNorth();
      },
    },
  ];
}

/** Programs that are killed, or freeze. */
function partFaults(parts: Parts): SoakFault[] {
  const killed = (part: Part, after: () => Promise<void> = async () => {}): SoakFault => ({
    kind: `${part.name.replace(/\d$/, "")} killed`,
    async begin() {
      await part.process.kill();
      return async () => {
        await part.restart();
        await after();
      };
    },
  });
  const frozen = (part: Part): SoakFault => ({
    kind: `${part.name.replace(/\d$/, "")} frozen`,
    async begin() {
      part.process.signal("SIGSTOP");
      return async () => part.process.signal("SIGCONT");
    },
  });
  const [router1, router2] = parts.routers;
  return [
    ...[killed(parts.server), frozen(parts.server), killed(parts.registry), frozen(parts.registry)],
    ...[killed(router1, () => parts.routeNorth()), killed(router2), frozen(router1), frozen(router2)],
    killed(parts.clients[0]!),
  ];
}

function trunkDown(network: Network): SoakFault {
  return {
    kind: "cable pulled",
    async begin() {
      await network.setTrunk("down");
      return () => network.setTrunk("up");
    },
  };
}
