/** containerd 2.4 with parallel layer fetch, as fast as the machine is. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useStage } from "#test/support/stage.ts";
import { expectOnceOverNdn, type ParallelRig, type Pulled, startParallelRig } from "./parallel-rig.ts";

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
      const cold = await rig.pull(client);
      const warm = await rig.pull(client);
      Object.assign(rows, { [`${name}, cold`]: cold, [`${name}, warm`]: warm });
      expectOnceOverNdn(cold);
      expect(warm).toMatchObject({ ndn: 0, upstream: 0, overNdn: 0, fromRegistry: 0 });
    });

    test("pulls mostly over NDN without a store", async () => {
      const client = await rig.client({ args: ["--cache-size", "0", ...trust()] });
      const pulled = await rig.pull(client);
      rows[`${name}, no store`] = pulled;
      expect(pulled.ndn).toBeGreaterThan(pulled.upstream);
    });

    test("pulls cold by single GETs", async () => {
      const client = await rig.client({ args: trust() });
      const pulled = await rig.pull(client, "single");
      rows[`${name}, cold, single GETs`] = pulled;
      expectOnceOverNdn(pulled);
    });
  });
});
