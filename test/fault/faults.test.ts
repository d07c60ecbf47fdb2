/**
 * Everything that can go wrong on the way, one faulty part at a time. With `NDN_REGISTRY_FAULT_SEEDS=n` every case runs with
 * n seeds; without it, the short form: a choice of cases with one seed.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clientOptions } from "#cli/client-options.ts";
import { serverOptions } from "#cli/server-options.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { useStage } from "#test/support/stage.ts";
import { connectionCases, packetCases } from "./link-cases.ts";
import { forwarderCases, hostCases, programCases } from "./program-cases.ts";
import { registryCases } from "./registry-cases.ts";
import { type Rig, type RigOptions, startRig } from "./rig.ts";
import { Baseline, type Row, runCase } from "./run-case.ts";
import { type FaultCase, Scene } from "./scene.ts";
import { formatTable, printTable } from "./table.ts";

const seeds = Number(process.env.NDN_REGISTRY_FAULT_SEEDS ?? 0);
const stage = useStage();

function suite(title: string, cases: readonly FaultCase[], options: Partial<RigOptions> = {}): void {
  const rows: Row[] = [];
  let begunAtMs = 0;
  const baseline = new Baseline();
  let rig: Rig;

  beforeAll(async () => {
    begunAtMs = performance.now();
    const folder = join(stage.folder, title.replaceAll(" ", "-"));
    await mkdir(folder);
    rig = await startRig({ folder, ...options });
    const warmUp = new Scene(rig, `${title}, warm-up`, 0);
    await rig.untilNdnServes(() => warmUp.freshBlob(5_000_000));
    await baseline.take(rig);
  }, 60_000);

  afterAll(async () => {
    await rig[Symbol.asyncDispose]();
    printTable(formatTable(title, rows, performance.now() - begunAtMs));
  });

  for (const faultCase of cases.filter(({ isShort }) => seeds > 0 || isShort)) {
    test(faultCase.name, { timeout: 150_000 * Math.max(1, seeds) }, async () => {
      for (let seed = 1; seed <= Math.max(1, seeds); seed++) {
        const row = await runCase(rig, faultCase, seed, baseline);
        rows.push(row);
        expect(row.problems, `seed ${seed}`).toEqual([]);
      }
    });
  }

  test("afterwards both programs stop when they are told to", async () => {
    for (const { process } of [rig.client, rig.server]) {
      await process.stop();
      expect(process.exit).toBe(0);
    }
  });
}

describeWith(["prlimit"], "client and server face to face", () => {
  suite("face to face", [...packetCases, ...connectionCases, ...registryCases, ...programCases, ...hostCases]);
});

describeWith(["ndnd"], "a forwarder between them", () => {
  suite(
    "with a forwarder",
    [...packetCases.filter(({ isShort }) => isShort).slice(0, 4), ...programCases, ...forwarderCases],
    {
      hasForwarder: true,
    },
  );
});

const canAnchor = "anchor" in clientOptions && "exportAnchor" in serverOptions;

/** Whatever is forged is found out at once, and repaired: nothing is broken off. */
describe.skipIf(!canAnchor)("with an anchor", () => {
  const neverBreak = packetCases.map((one) => ({ ...one, mayBreak: false, isShort: one.isShort ?? false }));
  suite("with an anchor", neverBreak, { isAnchored: true });
});
