/**
 * containerd 2.4 with parallel layer fetch, as fast as the machine is. Straight and through the client take turns, so that
 * a slow moment of the machine hits both; the table has the median of three rounds.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useStage } from "#test/support/stage.ts";
import { expectOnceOverNdn, type ParallelRig, type Pulled, startParallelRig } from "./parallel-rig.ts";

describe("containerd 2.4 with parallel layer fetch", () => {
  const stage = useStage();
  const rows = new Map<string, Pulled[]>();
  let rig: ParallelRig;

  beforeAll(async () => {
    rig = await startParallelRig(stage);
    await rig.pull(undefined); // reads the programs from the disk
  });

  afterAll(() => console.table(Object.fromEntries([...rows].map(([name, pulls]) => [name, medianOf(pulls)]))));

  function note(name: string, pulled: Pulled): Pulled {
    rows.set(name, [...(rows.get(name) ?? []), pulled]);
    return pulled;
  }

  describe.each([1, 2, 3])("round %i", () => {
    test("pulls straight", async () => {
      note("straight", await rig.pull(undefined));
      note("straight, single GETs", await rig.pull(undefined, "single"));
    });

    describe.each(["without an anchor", "with an anchor"])("%s", (name) => {
      const trust = () => (name === "with an anchor" ? ["--anchor", rig.anchor] : []);

      test("pulls cold, then warm from the store", async () => {
        await using client = await rig.client({ args: trust() });
        const cold = note(`${name}, cold`, await rig.pull(client));
        const warm = note(`${name}, warm`, await rig.pull(client));
        expectOnceOverNdn(cold);
        expect(warm).toMatchObject({ ndn: 0, upstream: 0, overNdn: 0, fromRegistry: 0 });
      });

      test("pulls mostly over NDN without a store", async () => {
        await using client = await rig.client({ args: ["--cache-size", "0", ...trust()] });
        const pulled = note(`${name}, no store`, await rig.pull(client));
        expect(pulled.ndn).toBeGreaterThan(pulled.upstream);
      });

      test("pulls cold by single GETs", async () => {
        await using client = await rig.client({ args: trust() });
        expectOnceOverNdn(note(`${name}, cold, single GETs`, await rig.pull(client, "single")));
      });
    });
  });
});

/** The one that took the median time. */
function medianOf(pulls: readonly Pulled[]): Pulled {
  return pulls.toSorted((a, b) => a.seconds - b.seconds)[Math.floor(pulls.length / 2)]!;
}
