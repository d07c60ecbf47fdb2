/** containerd 2.4 with parallel layer fetch, as fast as the machine is. */
import { afterAll, beforeAll, describe, test } from "vitest";
import { useStage } from "#test/support/stage.ts";
import { type ParallelRig, type Pulled, startParallelRig } from "./parallel-rig.ts";

describe("containerd 2.4 with parallel layer fetch", () => {
  const stage = useStage();
  const rows: Record<string, Pulled> = {};
  let rig: ParallelRig;

  beforeAll(async () => {
    rig = await startParallelRig(stage);
  });

  afterAll(() => console.table(rows));

  test("pulls straight", async () => {
    await rig.pull(undefined); // the first one reads the programs from the disk
    rows.straight = await rig.pull(undefined);
    rows["straight, single GETs"] = await rig.pull(undefined, "single");
  });

  describe.each(["without an anchor", "with an anchor"])("%s", (name) => {
    const trust = () => (name === "with an anchor" ? ["--anchor", rig.anchor] : []);

    test("pulls cold, then warm from the store", async () => {
      const client = await rig.client({ args: trust() });
      rows[`${name}, cold`] = await rig.pull(client);
      rows[`${name}, warm`] = await rig.pull(client);
    });

    test("pulls without a store", async () => {
      const client = await rig.client({ args: ["--cache-size", "0", ...trust()] });
      rows[`${name}, no store`] = await rig.pull(client);
    });

    test("pulls cold by single GETs", async () => {
      const client = await rig.client({ args: trust() });
      rows[`${name}, cold, single GETs`] = await rig.pull(client, "single");
    });
  });
});
