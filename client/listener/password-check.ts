/**
 * Comparing passwords with bcrypt hashes: one at a time, in a thread of its own.
 */
import { Worker } from "node:worker_threads";
import type { Compared, Comparison } from "./bcrypt-worker.ts";

/** Compares passwords; a flood of them costs one core at most. */
export interface PasswordCheck {
  /** Comparisons that have not ended. */
  readonly pending: number;
  /** @throws Error when the thread failed or was closed. */
  compare(password: string, hash: string): Promise<boolean>;
  close(): Promise<void>;
}

/** The thread starts with the first comparison and, idle, keeps no process alive. */
export function createPasswordCheck(): PasswordCheck {
  const waiting = new Map<number, PromiseWithResolvers<boolean>>();
  let worker: Worker | undefined;
  let nextId = 0;
  let isClosed = false;

  const start = (): Worker => {
    const started = new Worker(new URL("./bcrypt-worker.ts", import.meta.url), { execArgv: [], env: {} });
    started.on("message", ({ id, isEqual }: Compared) => {
      waiting.get(id)?.resolve(isEqual);
      waiting.delete(id);
      if (waiting.size === 0) started.unref();
    });
    const onEnd = (reason: unknown) => {
      if (worker !== started) return;
      worker = undefined;
      for (const { reject } of waiting.values())
        reject(new Error("the thread that compares passwords ended", { cause: reason }));
      waiting.clear();
    };
    started.on("error", onEnd);
    started.on("exit", onEnd);
    return started;
  };

  return {
    get pending() {
      return waiting.size;
    },
    async compare(password, hash) {
      if (isClosed) throw new Error("passwords are no longer compared");
      const id = nextId++;
      const answer = Promise.withResolvers<boolean>();
      waiting.set(id, answer);
      worker ??= start();
      worker.ref();
      worker.postMessage({ id, password, hash } satisfies Comparison);
      return answer.promise;
    },
    async close() {
      isClosed = true;
      await worker?.terminate();
    },
  };
}
