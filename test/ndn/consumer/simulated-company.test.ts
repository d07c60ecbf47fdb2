import { expect, test } from "vitest";
import { type SimulatedLink, sharesOf, simulatedLink } from "#test/support/simulation/link.ts";
import { NdnFlow } from "#test/support/simulation/ndn-flow.ts";
import { BbrFlow, CubicFlow, type TcpFlow } from "#test/support/simulation/tcp-flows.ts";

const megabit = 1e6;

/** What each has of the link in the half minute that ends after 60 s. */
function after60s(link: SimulatedLink, ...flows: (NdnFlow | TcpFlow)[]): number[] {
  sharesOf(link, 30, ...flows);
  return sharesOf(link, 30, ...flows);
}

test.each([
  { name: "CUBIC", other: (link: SimulatedLink) => new CubicFlow(link) },
  { name: "BBR", other: (link: SimulatedLink) => new BbrFlow(link) },
])("beside a flow with $name it has between a quarter and three quarters of the link", ({ other }) => {
  for (const rttMs of [40, 100]) {
    for (const products of [1, 4]) {
      const link = simulatedLink(100 * megabit, rttMs, { products });
      const [share] = after60s(link, new NdnFlow(link), other(link));
      expect(share, `${rttMs} ms, ${products} products`).toBeGreaterThan(0.25);
      expect(share, `${rttMs} ms, ${products} products`).toBeLessThan(0.75);
    }
  }
});

test.each([0.5, 1, 4])(
  "of paths of 10 and 100 ms through one bottleneck the longer is not starved, with a queue of %d products",
  (products) => {
    const link = simulatedLink(100 * megabit, 100, { products });
    const shares = after60s(link, new NdnFlow({ ...link, rttMs: 10 }), new NdnFlow(link));
    for (const share of shares) expect(share).toBeGreaterThan(0.2);
  },
);

test.each([
  { rate: 100 * megabit, rttMs: 40 },
  { rate: 1_000 * megabit, rttMs: 10 },
])("a second client has its share after 10 s at $rate bit/s and $rttMs ms", ({ rate, rttMs }) => {
  for (const products of [0.5, 1, 4]) {
    const link = simulatedLink(rate, rttMs, { products });
    const first = new NdnFlow(link);
    sharesOf(link, 5, first);
    const second = new NdnFlow(link);
    sharesOf(link, 10, first, second);
    for (const share of sharesOf(link, 10, first, second)) {
      expect(share, `${products} products`).toBeGreaterThan(0.35);
      expect(share, `${products} products`).toBeLessThan(0.65);
    }
  }
});
