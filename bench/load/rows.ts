/**
 * The rows of "load", in the order of their positions.
 */
import { coldRow } from "./cold.ts";
import { cutRow } from "./cut.ts";
import { rangesRow } from "./ranges.ts";
import type { Way } from "./rig.ts";
import type { Row } from "./row.ts";
import { slowRow } from "./slow.ts";
import { smallRow } from "./small.ts";

/** How many blobs one client asks for at once. */
export const coldCounts: readonly number[] = [1, 4, 16, 64, 256];
/** Of each of them. */
export const coldSizeBytes = 10_000_000;

/** All rows: those over a direct face, then the same through ndnd. */
export const loadRows: readonly Row[] = (["direct face", "ndnd"] as const).flatMap(rowsOf);

function rowsOf(way: Way): Row[] {
  return [
    ...coldCounts.map((blobs) => coldRow({ way, clients: 1, blobs, sizeBytes: coldSizeBytes })),
    coldRow({ way, clients: 20, blobs: 3, sizeBytes: 50_000_000 }),
    ...[40, 200].flatMap((readers) => (["off", "on"] as const).map((cache) => slowRow({ way, readers, cache }))),
    rangesRow(way),
    cutRow(way),
    smallRow(way),
  ];
}
