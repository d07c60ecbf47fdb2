/** Faults of the registry: the server's, the client's upstream, or both. */
import type { Fault } from "#test/support/registry.ts";
import { cachedBytes, type FaultCase, type Scene, streamedBytes } from "./scene.ts";

interface RegistryRow {
  readonly what: string;
  readonly fault: Fault;
  /** Whether bytes come that are not the blob's. */
  readonly isForgery?: boolean;
  /** Whether the cheap cases of this fault are in the short form. */
  readonly isShort?: boolean;
  /** Whether it stops and keeps the connection. */
  readonly isSilent?: boolean;
}

/** A server gives a silent registry up after 30 s. */
const settleMs = 60_000;
/** A pull that has no other source than a silent upstream ends when the puller waits no longer. */
const pullerMs = 30_000;

const rows: readonly RegistryRow[] = [
  { what: "stalls", fault: { kind: "stall-after", bytes: 200_000 }, isSilent: true },
  { what: "says nothing", fault: { kind: "stall-after", bytes: 0 }, isSilent: true },
  { what: "resets", fault: { kind: "reset-after", bytes: 300_000 } },
  { what: "ends ranges early", fault: { kind: "short-206" } },
  { what: "answers another range", fault: { kind: "wrong-206" } },
  { what: "knows no ranges", fault: { kind: "ignore-range" }, isShort: true },
  { what: "knows no ranges and has other bytes", fault: { kind: "ignore-range-wrong" }, isForgery: true },
  { what: "has other bytes", fault: { kind: "wrong-bytes" }, isForgery: true, isShort: true },
  { what: "answers 500", fault: { kind: "status", status: 500 } },
  { what: "answers 503", fault: { kind: "status", status: 503 } },
  { what: "answers 429", fault: { kind: "status", status: 429 } },
  { what: "answers 404", fault: { kind: "status", status: 404 }, isShort: true },
  { what: "is slow", fault: { kind: "slow", bytesPerSecond: 2_000_000 } },
  { what: "is late", fault: { kind: "late", delayMs: 700 } },
];

/** Faults that cost time only. */
const harmless: ReadonlySet<Fault["kind"]> = new Set(["ignore-range", "slow", "late"]);

/** Every fault in each of the three places; where both are bad a clean break is all that can be asked. */
export const registryCases: readonly FaultCase[] = rows.flatMap((row) =>
  casesOf(row).map((one) => ({ ...one, ...(row.isSilent ? { settleMs } : {}) })),
);

function casesOf(row: RegistryRow): FaultCase[] {
  return [
    {
      name: `the server's registry ${row.what}, 3 MB`,
      isShort: row.isShort ?? false,
      run: (scene: Scene) => atServer(scene, row, cachedBytes),
    },
    {
      name: `the server's registry ${row.what}, 12 MB`,
      mayBreak: row.isForgery ?? false,
      run: (scene: Scene) => atServer(scene, row, streamedBytes),
    },
    {
      name: `the upstream ${row.what}, and the server dies in mid-blob`,
      mayBreak: !harmless.has(row.fault.kind),
      mayWait: row.isSilent ?? false,
      run: (scene: Scene) => upstreamAlone(scene, row),
    },
    {
      name: `registry and upstream: ${row.what}`,
      isShort: row.isShort ?? false,
      mayBreak: !harmless.has(row.fault.kind),
      mayWait: row.isSilent ?? false,
      run: (scene: Scene) => atBoth(scene, row),
    },
  ];
}

function atServer(scene: Scene, row: RegistryRow, sizeBytes: number) {
  scene.rig.registry.fault = { ...row.fault };
  return scene.pull(scene.freshBlob(sizeBytes));
}

function atBoth(scene: Scene, row: RegistryRow) {
  for (const registry of [scene.rig.registry, scene.rig.upstream]) registry.fault = { ...row.fault };
  const pulls = [cachedBytes, streamedBytes].map((size) => scene.pull(scene.freshBlob(size), { boundMs: pullerMs }));
  return Promise.all(pulls);
}

async function upstreamAlone(scene: Scene, row: RegistryRow) {
  const { rig } = scene;
  rig.upstream.fault = { ...row.fault };
  scene.defer(() => rig.restartServer());
  return scene.pullAcross(streamedBytes, () => rig.server.process.kill(), { boundMs: pullerMs });
}
