/** containerd 2.4 with parallel layer fetch on slow links: the client fetches no byte twice that it could wait for. */
import { afterAll, beforeAll, describe, test } from "vitest";
import { useStage } from "#test/support/stage.ts";
import { expectOnceOverNdn, type ParallelRig, type Pulled, startParallelRig } from "./parallel-rig.ts";

const delayMs = 10;

describe("containerd 2.4 with parallel layer fetch on slow links", () => {
  const stage = useStage();
  const rows: Record<string, Pulled> = {};
  let rig: ParallelRig;

  beforeAll(async () => {
    rig = await startParallelRig(stage);
  });

  afterAll(() => console.table(rows));

  describe.each([100, 20])("%i Mbit/s", (megabits) => {
    const link = { delayMs, bitsPerSecond: megabits * 1e6 };

    test.each(["single", "parallel"] as const)("pulls by %s GETs", { timeout: 400_000 }, async (fetch) => {
      const client = await rig.client({ link });
      const pulled = await rig.pull(client, fetch);
      rows[`${megabits} Mbit/s, ${fetch}`] = pulled;
      expectOnceOverNdn(pulled);
    });
  });
});
