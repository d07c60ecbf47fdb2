/**
 * `node bench/window-over-time.ts`: the congestion window on simulated links, as a table of rate and window over time.
 * Nothing is sent; the same model as in test/ndn/congestion-link.test.ts.
 */
import { CongestionWindow } from "#ndn/consumer/congestion-window.ts";
import { type SimulatedLink, simulate } from "#test/ndn/simulated-link.ts";

const links: readonly (Omit<SimulatedLink, "seed"> & { readonly name: string })[] = [
  { name: "100 Mbit/s, 40 ms, no loss", rate: 1.5, rttMs: 40, queue: 31, loss: 0 },
  { name: "100 Mbit/s, 40 ms, 1 % loss", rate: 1.5, rttMs: 40, queue: 31, loss: 0.01 },
  { name: "100 Mbit/s, 40 ms, 5 % loss", rate: 1.5, rttMs: 40, queue: 31, loss: 0.05 },
  { name: "10 Mbit/s, 200 ms, no loss", rate: 0.15, rttMs: 200, queue: 31, loss: 0 },
  { name: "1 Gbit/s, 1 ms, no loss", rate: 15, rttMs: 1, queue: 100, loss: 0 },
];
const durationMs = 3_000;
const maxWindow = 512;

for (const { name, ...link } of links) {
  const result = simulate(new CongestionWindow({ maxWindow }), { ...link, seed: 7 }, durationMs);
  console.log(`\n${name}: ${(100 * result.share).toFixed(0)} % used, RTT ${result.meanRttMs.toFixed(0)} ms on average`);
  for (const { atMs, rate, window } of result.overTime) {
    const used = Math.round((40 * rate) / link.rate);
    console.log(`${String(atMs).padStart(6)} ms  window ${String(window).padStart(4)}  ${"█".repeat(used)}`);
  }
}
