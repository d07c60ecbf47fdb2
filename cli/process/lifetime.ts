/**
 * From the first signal to the exit: a graceful stop within a bound, and a second signal that forces it.
 */
import type { Logger } from "pino";
import { letYoungGenerationGrow } from "./garbage-collector.ts";
import type { Hangups } from "./hangups.ts";

/** How long responses and registrations get to end by themselves. */
export const graceMs = 10_000;
/** A second signal counts as force only after this, so that one Ctrl-C to a process group is not two. */
const secondSignalAfterMs = 1_000;

/** What a program does when it is told to. */
export interface Lifetime {
  close(): Promise<void>;
  /** Read files again. */
  reload(): Promise<void>;
}

/**
 * Wait for SIGINT or SIGTERM, then close; what the program needs is loaded by now. SIGHUP has it reload. Resolves when
 * `close` has ended; a second signal exits with status 1 at once.
 */
export async function runUntilSignal(log: Logger, program: Lifetime, hangups: Hangups): Promise<void> {
  letYoungGenerationGrow();
  const reload = () => program.reload().catch((err: unknown) => log.error({ err }, "reloading failed"));
  const stoppingAtMs = await firstSignal(log, (stop) => hangups.follow(reload, stop));
  hangups.ignore();
  const force = () => {
    if (performance.now() - stoppingAtMs < secondSignalAfterMs) return;
    log.warn("stopped by force");
    process.exit(1);
  };
  process.on("SIGINT", force);
  process.on("SIGTERM", force);
  const bound = setTimeout(() => {
    log.warn("not everything ended in time");
    process.exit(1);
  }, 2 * graceMs);
  await program.close();
  clearTimeout(bound);
  log.info("stopped");
}

function firstSignal(log: Logger, onHangup: (stop: () => void) => void): Promise<number> {
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals) => {
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
      log.info({ signal }, "stopping; a second signal forces it");
      resolve(performance.now());
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
    onHangup(() => stop("SIGHUP"));
  });
}
