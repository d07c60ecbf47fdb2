import { afterEach, beforeEach, vi } from "vitest";
import { SlowReaderBudget } from "#fetch/broadcast-barrier.ts";
import { until } from "#test/support/until.ts";

/** How long the readers of the test wait for a slow one. */
export const slowReaderBudgetMs = 15_000;

/** The time of that budget: it stands still unless the test lets it pass, so that no stall of the machine counts. */
export interface BudgetClock {
  /** Use up the budget of one reader, numbered as they joined, once the others wait for that one and nothing else changes. */
  outwait(reader: number): Promise<void>;
}

/** Set it up before each test of a file. */
export function useBudgetClock(): BudgetClock {
  const spyOnWaits = () => vi.spyOn(SlowReaderBudget.prototype, "waitFor");
  let waits: ReturnType<typeof spyOnWaits>;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    waits = spyOnWaits();
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
  const isWaitedFor = (reader: number) => {
    const [waitedFor, readers] = waits.mock.lastCall ?? [new Set(), []];
    return waitedFor.size === 1 && waitedFor.has([...readers][reader]!);
  };
  return {
    outwait: async (reader) => {
      // Sockets take some of what a stuck puller does not read: until they are full it is last only now and then.
      const seen: number[] = [];
      const rests = () => seen.push(waits.mock.calls.length) > 1 && seen.at(-2) === seen.at(-1);
      await until("the others to wait for that reader only", () => rests() && isWaitedFor(reader));
      vi.advanceTimersByTime(slowReaderBudgetMs);
    },
  };
}
