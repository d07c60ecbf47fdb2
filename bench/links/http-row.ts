/**
 * The same blob by HTTP over TCP, straight from the registry, across a link of the same rate, delay and queue. A relay of
 * bytes loses nothing: what its queue has no room for is not read yet.
 */
import { freePort } from "#test/support/free-port.ts";
import { layBlobs } from "../load/blobs.ts";
import { startRelay } from "../relays/start.ts";
import { startRig } from "../rig.ts";
import { type BenchLink, linkName, waysOf } from "./link.ts";
import type { Row, RowRound } from "./row.ts";
import { take } from "./take.ts";

/** The row. */
export function httpRow(link: BenchLink): Row {
  return { name: `${linkName(link)}, HTTP over TCP`, measure: (round) => measure(link, round) };
}

async function measure(link: BenchLink, round: RowRound): Promise<void> {
  const rig = await startRig(round.place, round.owned);
  const port = await freePort();
  const targetPort = Number(new URL(rig.registry.url).port);
  round.owned.use(await startRelay(rig, "bytes", { port, targetPort, ...waysOf(link), isNdn: false }));
  const blobs = await layBlobs(rig.registry.storage, 1, round.sizeBytes ?? link.sizeBytes, "thin");
  const { bytes, seconds } = await take(rig.folder, `http://127.0.0.1:${port}`, blobs, round.maxSeconds);
  round.note({ name: "share", unit: "" }, (bytes * 8) / seconds / link.bitsPerSecond);
  round.note({ name: "rate", unit: "MB/s" }, bytes / 1e6 / seconds);
}
