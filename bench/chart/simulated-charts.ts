/** What flows have of a simulated link over time, by the client's own congestion control. */
import { type SimulatedLink, sharesOf, simulatedLink } from "#test/support/simulation/link.ts";
import { NdnFlow } from "#test/support/simulation/ndn-flow.ts";
import { BbrFlow, CubicFlow, type TcpFlow } from "#test/support/simulation/tcp-flows.ts";
import type { Chart } from "./svg.ts";

/** A flow, and when it begins; later ones come last. */
interface Guest {
  readonly name: string;
  readonly fromSeconds?: number;
  start(link: SimulatedLink): NdnFlow | TcpFlow;
}

const [bitsPerSecond, rttMs] = [100e6, 40];
const linkText = `${bitsPerSecond / 1e6} Mbit/s, ${rttMs} ms`;
const stepSeconds = 0.5;
const ours: Guest = { name: "ours", start: (link) => new NdnFlow(link) };
const cubic: Guest = { name: "CUBIC", start: (link) => new CubicFlow(link) };
const bbr: Guest = { name: "BBR", start: (link) => new BbrFlow(link) };

/** Charts in a row. */
export const simulatedColumns = 2;

/** Beside other traffic with a short and a deep queue, beside its own kind, and on a link that changes. */
export function simulatedCharts(): Chart[] {
  const beside = [cubic, bbr].flatMap((other) =>
    [1, 4].map((products) => {
      const title = `Beside ${other.name}, ${linkText}, queue of ${products === 1 ? "one product" : `${products} products`}`;
      return chartOf(title, simulatedLink(bitsPerSecond, rttMs, { products }), 60, [ours, other]);
    }),
  );
  const longer: Guest = { name: "100 ms", start: (link) => new NdnFlow({ ...link, rttMs: 100 }) };
  const shorter: Guest = { name: "10 ms", start: (link) => new NdnFlow({ ...link, rttMs: 10 }) };
  const second: Guest = { ...ours, name: "the second", fromSeconds: 5 };
  return [
    ...beside,
    chartOf("Paths of 10 and 100 ms, 100 Mbit/s", simulatedLink(bitsPerSecond, 100), 60, [shorter, longer]),
    chartOf(`A second client joins, ${linkText}`, simulatedLink(bitsPerSecond, rttMs), 30, [ours, second]),
    chartOf(`Jitter of a quarter, ${linkText}`, simulatedLink(bitsPerSecond, rttMs, { jitterMs: rttMs / 4 }), 20, [
      ours,
    ]),
    chartOf(`The rate halves and doubles, ${linkText}`, simulatedLink(bitsPerSecond, rttMs), 40, [ours], changedRate),
  ];
}

/** Over the first one. */
function changedRate(seconds: number): number {
  return [1, 0.5, 1, 2][Math.floor(seconds / 10) % 4]!;
}

function chartOf(
  title: string,
  link: SimulatedLink,
  seconds: number,
  guests: readonly Guest[],
  rateAt: (seconds: number) => number = () => 1,
): Chart {
  const series = guests.map(({ name }) => ({ name, values: [] as (number | undefined)[] }));
  const flows: (NdnFlow | TcpFlow | undefined)[] = guests.map(() => undefined);
  const xs = Array.from({ length: seconds / stepSeconds }, (_, step) => step * stepSeconds);
  for (const x of xs) {
    link.bottleneck.options.rate = bitsPerSecond * rateAt(x);
    for (const [nth, guest] of guests.entries()) if (x >= (guest.fromSeconds ?? 0)) flows[nth] ??= guest.start(link);
    const shares = sharesOf(link, stepSeconds, ...flows.filter((flow) => flow !== undefined));
    for (const [nth, { values }] of series.entries()) {
      const share = shares[nth];
      values.push(share === undefined ? undefined : share * rateAt(x));
    }
  }
  return { title, xLabel: "seconds", yLabel: `of ${bitsPerSecond / 1e6} Mbit/s`, xs, scale: "linear", series };
}
