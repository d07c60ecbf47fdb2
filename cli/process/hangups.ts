/**
 * SIGHUP: have the program read its files again, as `kill -HUP` means it. A terminal that is closed sends the same
 * signal, and then the program is to end with it.
 */
import { closeSync, openSync } from "node:fs";

/** What arrives as SIGHUP from now on, also before the program runs. */
export class Hangups {
  readonly #hasTerminal = isThereTerminal();
  #onHangup: (() => void) | undefined;
  #isWaiting = false;

  constructor() {
    process.on("SIGHUP", () => this.#arrived());
  }

  /**
   * Reload on each from now on, also for one that has come already; one at a time, and several that come meanwhile are one.
   *
   * @param reload - Must not reject.
   * @param onTerminalClosed - Called instead once the terminal is gone that the program was started from.
   */
  follow(reload: () => Promise<void>, onTerminalClosed: () => void): void {
    let running = false;
    this.#onHangup = () => {
      if (this.#hasTerminal && !isThereTerminal()) return onTerminalClosed();
      this.#isWaiting = running;
      if (running) return;
      running = true;
      void reload().then(() => {
        running = false;
        if (this.#isWaiting) this.#onHangup?.();
      });
    };
    if (this.#isWaiting) this.#onHangup();
  }

  /** Reload no more: the program ends. */
  ignore(): void {
    this.#onHangup = () => {};
  }

  #arrived(): void {
    if (this.#onHangup) this.#onHangup();
    else this.#isWaiting = true;
  }
}

/** Whether the process has a controlling terminal (tty(4)). */
function isThereTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false; // none, or one that was closed
  }
}
