/**
 * The rows of "links", in the order of their positions.
 */
import { benchLinks, losses } from "./link.ts";
import { lossRow, unlimitedRow } from "./ndn-row.ts";
import type { Row } from "./row.ts";

/** All rows. */
export const linkRows: readonly Row[] = [
  unlimitedRow("direct face"),
  ...tableOver("direct face"),
  unlimitedRow("ndnd"),
  ...tableOver("ndnd"),
];

/** The table of links: each with each loss. */
function tableOver(way: "direct face" | "ndnd"): Row[] {
  return benchLinks.flatMap((link) =>
    losses.map((loss, nth) => {
      const needed = link.needed[nth]!;
      // A forwarder of its own costs something, and with much loss its suppression of retransmissions.
      const isHardest = link.bitsPerSecond >= 1e9 && loss === 0.05;
      return lossRow(way, link, loss, way === "direct face" ? needed : isHardest ? 0.4 : 0.9 * needed);
    }),
  );
}
