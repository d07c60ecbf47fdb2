/**
 * The rows of "load", in the order of their positions.
 */
import { coldRow } from "./cold.ts";
import type { Way } from "./rig.ts";
import type { Row } from "./row.ts";

/** All rows: those over a direct face, then the same through ndnd. */
export const loadRows: readonly Row[] = (["direct face", "ndnd"] as const).flatMap(rowsOf);

function rowsOf(way: Way): Row[] {
  return [
    ...[1, 4, 16, 64, 256].map((blobs) => coldRow({ way, clients: 1, blobs, sizeBytes: 10_000_000 })),
    coldRow({ way, clients: 20, blobs: 3, sizeBytes: 50_000_000 }),
  ];
}
