/**
 * The order of use outlives a restart as the files' modification times, written now and then. Not as their access
 * times: those change when a backup or a virus scanner passes by.
 */
import { utimes } from "node:fs/promises";
import { forEachBounded } from "#base/limits.ts";
import type { BlobEntry } from "./blob-index.ts";
import type { ImageLayout } from "./image-layout.ts";

const writeEveryMs = 30_000;

export class UseTimes {
  readonly #layout: ImageLayout;
  readonly #used = new Set<BlobEntry>();
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> = Promise.resolve();

  constructor(layout: ImageLayout) {
    this.#layout = layout;
    this.#timer = setInterval(() => void this.write(), writeEveryMs).unref();
  }

  used(entry: BlobEntry): void {
    entry.lastUsedAt = Date.now();
    // In the order of use, for times are only as fine as the clock.
    this.#used.delete(entry);
    this.#used.add(entry);
  }

  /** Write what is not written yet; failures cost nothing but the order. */
  write(): Promise<void> {
    const entries = [...this.#used];
    this.#used.clear();
    this.#writing = this.#writing.then(() =>
      forEachBounded(entries, 2, ({ digest, lastUsedAt }) =>
        utimes(this.#layout.blob(digest), lastUsedAt / 1000, lastUsedAt / 1000).catch(() => {}),
      ),
    );
    return this.#writing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.write();
  }
}
