/**
 * A simulated link, and what is measured on it.
 */
import { seededRandom } from "../seeded-random.ts";
import { Bottleneck, type BottleneckOptions } from "./bottleneck.ts";
import { dataBytes, type NdnFlow } from "./ndn-flow.ts";
import { Simulator } from "./simulator.ts";
import { type TcpFlow, tcpPacketBytes } from "./tcp-flows.ts";

export interface SimulatedLink {
  readonly simulator: Simulator;
  readonly bottleneck: Bottleneck;
  readonly rttMs: number;
}

/** What is special about a link. */
export interface LinkCharacter extends Omit<BottleneckOptions, "rate" | "queueBytes"> {
  /** Queue in bandwidth-delay products. @defaultValue a half, and at least 64 packets */
  readonly products?: number;
  readonly seed?: number;
}

/** @param rate - Bits per second. */
export function simulatedLink(rate: number, rttMs: number, character: LinkCharacter = {}): SimulatedLink {
  const { products, seed = 7, ...more } = character;
  const product = (rate / 8000) * rttMs;
  const queueBytes = products === undefined ? Math.max(product / 2, 64 * dataBytes) : products * product;
  const simulator = new Simulator();
  return { simulator, bottleneck: new Bottleneck(simulator, { rate, queueBytes, ...more }, seededRandom(seed)), rttMs };
}

/** Let so much time pass. @returns the shares of the link that the flows have had in it. */
export function sharesOf(link: SimulatedLink, seconds: number, ...flows: readonly (NdnFlow | TcpFlow)[]): number[] {
  const before = flows.map(({ delivered }) => delivered);
  const { simulator, bottleneck } = link;
  simulator.run(simulator.nowMs + seconds * 1000);
  return flows.map((flow, i) => {
    const packetBytes = "control" in flow ? dataBytes : tcpPacketBytes;
    return ((flow.delivered - before[i]!) * packetBytes * 8) / seconds / bottleneck.options.rate;
  });
}
