/** Runs inside the second router: the NDN link to the first one, with faults as they are told. One line of JSON each. */
import { createInterface } from "node:readline";
import type { LinkOptions } from "#test/support/link/link.ts";
import { startLinkRelay } from "#test/support/link/link-relay.ts";
import { forged, truncated } from "#test/support/link/packet-attackers.ts";

/** What the link is told. */
export interface LinkOrder {
  readonly options?: LinkOptions;
  /** Share of Data that comes forged, or truncated. */
  readonly forged?: number;
  readonly truncated?: number;
  readonly cut?: boolean;
  readonly isReading?: boolean;
}

if (import.meta.main) {
  const { listen, target, seed } = JSON.parse(process.argv[2]!) as Parameters<typeof startLinkRelay>[0];
  await using relay = await startLinkRelay({ listen, target, seed, up: {}, down: {} });
  process.stdout.write("ready\n");
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line) as LinkOrder;
    const options = order.options ?? {};
    relay.up = options;
    relay.down = order.forged
      ? { ...options, mangle: forged(order.forged) }
      : { ...options, ...(order.truncated ? { mangle: truncated(order.truncated) } : {}) };
    relay.isReading = order.isReading ?? true;
    if (order.cut) relay.cut();
  }
}
