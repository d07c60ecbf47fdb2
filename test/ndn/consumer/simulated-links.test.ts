import { expect, test } from "vitest";
import { type LinkCharacter, sharesOf, simulatedLink } from "#test/support/simulation/link.ts";
import { NdnFlow } from "#test/support/simulation/ndn-flow.ts";

const gigabit = 1e9;
const megabit = 1e6;

/** The share of a link that one flow has had from its start. */
function shareOf(rate: number, rttMs: number, seconds: number, character?: LinkCharacter): number {
  const link = simulatedLink(rate, rttMs, character);
  return sharesOf(link, seconds, new NdnFlow(link))[0]!;
}

test.each([
  { name: "1 Gbit/s, 1 ms", rate: gigabit, rttMs: 1, seconds: 3, needed: [0.9, 0.8, 0.6] },
  { name: "1 Gbit/s, 10 ms", rate: gigabit, rttMs: 10, seconds: 3, needed: [0.85, 0.8, 0.6] },
  { name: "1 Gbit/s, 100 ms", rate: gigabit, rttMs: 100, seconds: 10, needed: [0.8, 0.7, 0.5] },
  { name: "100 Mbit/s, 40 ms", rate: 100 * megabit, rttMs: 40, seconds: 20, needed: [0.95, 0.93, 0.88] },
  { name: "10 Mbit/s, 600 ms", rate: 10 * megabit, rttMs: 600, seconds: 28, needed: [0.85, 0.85, 0.8] },
  { name: "2 Mbit/s, 100 ms", rate: 2 * megabit, rttMs: 100, seconds: 17, needed: [0.93, 0.9, 0.85] },
])("$name is filled, whatever share is lost", ({ rate, rttMs, seconds, needed }) => {
  for (const [i, loss] of [0, 0.01, 0.05].entries()) {
    expect(shareOf(rate, rttMs, seconds, { loss }), `${loss} lost`).toBeGreaterThan(needed[i]!);
  }
});

test.each([
  { rate: gigabit, rttMs: 100 },
  { rate: 100 * megabit, rttMs: 40 },
])(
  "a queue of a quarter of the product is enough at $rate bit/s and $rttMs ms, and loses little",
  ({ rate, rttMs }) => {
    const link = simulatedLink(rate, rttMs, { products: 0.25 });
    const flow = new NdnFlow(link);
    const [share] = sharesOf(link, 30, flow);
    expect(share).toBeGreaterThan(0.8);
    expect(link.bottleneck.counters.dropped / flow.interests).toBeLessThan(0.02);
  },
);

test("a near cache that has every second segment does not make the rest slow", () => {
  const link = simulatedLink(gigabit, 100);
  const flow = new NdnFlow({ ...link, isCached: (n) => n % 2 === 1, cacheRttMs: 1 });
  const [share] = sharesOf(link, 20, flow);
  expect(share! / 2).toBeGreaterThan(0.8);
});

test.each([
  { rate: 100 * megabit, rttMs: 40 },
  { rate: 10 * megabit, rttMs: 100 },
  { rate: 10 * megabit, rttMs: 600 },
])("a deep queue stays short at $rate bit/s and $rttMs ms: packets wait no longer than two round trips", (one) => {
  const link = simulatedLink(one.rate, one.rttMs, { products: 20 });
  const flow = new NdnFlow(link);
  sharesOf(link, 10, flow);
  link.bottleneck.maxWaitMs = 0;
  expect(sharesOf(link, 40, flow)[0]).toBeGreaterThan(0.9);
  expect(link.bottleneck.maxWaitMs).toBeLessThan(2 * one.rttMs);
});

test("jitter of a quarter of the round trip is no congestion and no loss", () => {
  for (const [rate, rttMs] of [
    [100 * megabit, 40],
    [10 * megabit, 600],
  ] as const) {
    const link = simulatedLink(rate, rttMs, { jitterMs: rttMs / 4 });
    const flow = new NdnFlow(link);
    expect(sharesOf(link, 30, flow)[0]).toBeGreaterThan(0.85);
    expect(flow.retransmissions / flow.interests).toBeLessThan(0.02);
  }
});

test.each([0.5, 4])("a rate that is halved and doubled again is followed, with a queue of %d products", (products) => {
  const link = simulatedLink(100 * megabit, 40, { products });
  const flow = new NdnFlow(link);
  sharesOf(link, 5, flow);
  link.bottleneck.options.rate = 50 * megabit;
  expect(sharesOf(link, 10, flow)[0]).toBeGreaterThan(0.9);
  link.bottleneck.options.rate = 100 * megabit;
  expect(sharesOf(link, 10, flow)[0]).toBeGreaterThan(0.9);
});

test("where packets are marked, the queue stays below the mark most of the time", () => {
  const link = simulatedLink(100 * megabit, 40, { products: 4, markAboveBytes: 64 * 1024 });
  const flow = new NdnFlow(link);
  sharesOf(link, 5, flow);
  link.bottleneck.maxWaitMs = 0;
  expect(sharesOf(link, 10, flow)[0]).toBeGreaterThan(0.8);
  expect(link.bottleneck.maxWaitMs).toBeLessThan(40);
});

test("a loss that begins in mid-blob costs little more than what is lost", () => {
  const link = simulatedLink(100 * megabit, 40);
  const flow = new NdnFlow(link);
  sharesOf(link, 5, flow);
  link.bottleneck.options.loss = 0.05;
  expect(sharesOf(link, 20, flow)[0]).toBeGreaterThan(0.85);
});
