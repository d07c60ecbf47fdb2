/** Faults of the link between client and server. */
import type { LinkOptions } from "#test/support/link/link-relay.ts";
import {
  forged,
  nacked,
  nackReasons,
  oversized,
  shadowed,
  tornFrames,
  truncated,
} from "#test/support/link/packet-attackers.ts";
import type { Pull } from "./pull.ts";
import { cachedBytes, type FaultCase, type Scene, streamedBytes } from "./scene.ts";

interface LinkRow {
  readonly what: string;
  readonly up?: LinkOptions;
  readonly down?: LinkOptions;
  /** Whether bytes come that are not the blob's: a blob that streams can then only be broken off. */
  readonly isForgery?: boolean;
  /** Size of the blob that is in the short form. */
  readonly short?: 3 | 12;
}

const both = (options: LinkOptions) => ({ up: options, down: options });

const rows: readonly LinkRow[] = [
  { what: "2 % loss", short: 3, ...both({ loss: 0.02 }) },
  { what: "20 % loss", ...both({ loss: 0.2 }) },
  { what: "Interests lost, all", up: { loss: 1 } },
  { what: "30 % duplicated", ...both({ duplication: 0.3 }) },
  { what: "30 % overtaken by 30 ms", short: 3, ...both({ reordering: 0.3, reorderMs: 30 }) },
  { what: "1 % with a changed byte", short: 12, ...both({ corruption: 0.01 }), isForgery: true },
  { what: "20 % with a changed byte", ...both({ corruption: 0.2 }), isForgery: true },
  { what: "5 % truncated", short: 3, down: { mangle: truncated(0.05) }, isForgery: true },
  { what: "1 % torn in mid-frame", short: 3, down: { mangle: tornFrames(0.01) }, isForgery: true },
  { what: "1 % oversized", short: 3, down: { mangle: oversized(0.01) } },
  { what: "all oversized", down: { mangle: oversized(1) } },
  { what: "2 % forged with the right name", short: 12, down: { mangle: forged(0.02) }, isForgery: true },
  { what: "all forged with the right name", down: { mangle: forged(1) }, isForgery: true },
  { what: "5 % with a forged twin", short: 3, down: { mangle: shadowed(0.05) }, isForgery: true },
  ...Object.entries(nackReasons).flatMap(([reason, code]) => [
    { what: `10 % Nack ${reason}`, up: { mangle: nacked(0.1, code) } },
    { what: `all Nack ${reason}`, ...(code === 150 ? { short: 3 as const } : {}), up: { mangle: nacked(1, code) } },
  ]),
];

/** What the link does to packets, for a blob that is cached and one that streams. */
export const packetCases: readonly FaultCase[] = rows.flatMap((row) => [
  { name: `${row.what}, 3 MB`, isShort: row.short === 3, run: (scene: Scene) => underFault(scene, row, cachedBytes) },
  {
    ...{ name: `${row.what}, 12 MB`, isShort: row.short === 12, mayBreak: row.isForgery ?? false },
    run: (scene: Scene) => underFault(scene, row, streamedBytes),
  },
]);

function underFault(scene: Scene, row: LinkRow, sizeBytes: number): Promise<Pull> {
  scene.rig.relay.up = row.up ?? {};
  scene.rig.relay.down = row.down ?? {};
  return scene.pull(scene.freshBlob(sizeBytes));
}

/** What the link does to whole connections, in mid-blob. */
export const connectionCases: readonly FaultCase[] = [
  {
    name: "link cut in mid-blob",
    isShort: true,
    run: (scene) => scene.pullAcross(streamedBytes, () => scene.rig.relay.cut()),
  },
  { name: "link cut again and again", run: cutOften },
  {
    name: "half-closed in mid-blob",
    run: (scene) => scene.pullAcross(streamedBytes, () => scene.rig.relay.halfClose()),
  },
  {
    name: "half-open: the other end is gone without a word",
    run: (scene) => scene.pullAcross(streamedBytes, () => blackHole(scene)),
  },
  {
    name: "forwarder stops reading in mid-blob",
    run: (scene) => scene.pullAcross(streamedBytes, () => stopReading(scene)),
  },
  {
    name: "forwarder stops reading, eight pulls",
    run: (scene) => {
      stopReading(scene);
      return Promise.all(Array.from({ length: 8 }, () => scene.pull(scene.freshBlob(cachedBytes))));
    },
  },
];

function stopReading({ rig }: Scene): void {
  rig.relay.isReading = false;
}

function blackHole({ rig }: Scene): void {
  rig.relay.up = { loss: 1 };
  rig.relay.down = { loss: 1 };
}

async function cutOften(scene: Scene): Promise<Pull[]> {
  const timer = setInterval(() => scene.rig.relay.cut(), 50 + 100 * scene.random());
  try {
    const pulls = Array.from({ length: 4 }, () => scene.pull(scene.freshBlob(cachedBytes)));
    return await Promise.all([...pulls, scene.pull(scene.freshBlob(streamedBytes))]);
  } finally {
    clearInterval(timer);
  }
}
