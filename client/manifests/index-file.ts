/**
 * Keeps the manifest cache in the cache directory, so that a restart forgets nothing.
 */
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { writeFileAtomic } from "#base/atomic-file.ts";
import { formatIndex, restoreIndex } from "./index-json.ts";
import type { ManifestCache } from "./manifest-cache.ts";

export interface IndexFileOptions {
  /** The cache directory; it is there. Nobody else writes its `index.json` while it is open. */
  readonly directory: string;
  readonly cache: ManifestCache;
  readonly log: Logger;
  /** Least time between two writings. @defaultValue 1000 */
  readonly intervalMs?: number | undefined;
}

/** What belongs together mostly comes together. */
const gatherMs = 50;
/** A large index is written less often: this share of the time at most goes into it. */
const maxShare = 1 / 50;

/** A disk that is full is not soon less so. */
const retryMs = 30_000;

/** Fill the manifest cache from the file and write its changes down from now on; a damaged file is moved aside. Never throws. */
export async function openIndexFile(options: IndexFileOptions): Promise<IndexFile> {
  await load(options);
  return new IndexFile(options);
}

/** The file that follows the manifest cache. */
export class IndexFile {
  readonly #options: IndexFileOptions;
  #isChanged = false;
  #isClosed = false;
  #isFailing = false;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  /** On the clock of `performance.now()`. */
  #nextMs = 0;

  constructor(options: IndexFileOptions) {
    this.#options = options;
    options.cache.onChange = () => {
      this.#isChanged = true;
      this.#schedule();
    };
  }

  /** Write what is not written yet, and follow the manifest cache no longer. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#options.cache.onChange = () => {};
    clearTimeout(this.#timer);
    await this.#writing;
    if (this.#isChanged) await this.#write();
  }

  #schedule(): void {
    if (this.#timer || this.#writing || this.#isClosed) return;
    const delayMs = Math.max(gatherMs, this.#nextMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
        if (this.#isChanged) this.#schedule();
      });
    }, delayMs).unref();
  }

  async #write(): Promise<void> {
    const { directory, cache, log, intervalMs = 1000 } = this.#options;
    const path = join(directory, fileName);
    const startedMs = performance.now();
    this.#isChanged = false;
    try {
      await writeFileAtomic(path, formatIndex(cache), 0o600, `${path}.new`);
      this.#isFailing = false;
    } catch (err: unknown) {
      if (!this.#isFailing) log.warn({ err, path }, "tags cannot be written down: a restart will forget them");
      this.#isFailing = true;
      this.#isChanged = true;
    }
    const tookMs = performance.now() - startedMs;
    this.#nextMs = startedMs + Math.max(this.#isFailing ? retryMs : intervalMs, tookMs / maxShare);
  }
}

const fileName = "index.json";

async function load({ directory, cache, log }: IndexFileOptions): Promise<void> {
  const path = join(directory, fileName);
  try {
    restoreIndex(await readFile(path, "utf8"), cache);
  } catch (err: unknown) {
    const { code } = err as NodeJS.ErrnoException;
    if (code === "ENOENT") return;
    if (code !== undefined) return log.warn({ err, path }, "tags cannot be read: none are remembered");
    log.warn({ err, path, movedTo: `${path}.damaged` }, "the index of the cache is damaged: no tags are remembered");
    await rename(path, `${path}.damaged`).catch((err: unknown) =>
      log.warn({ err, path }, "and it cannot be moved aside"),
    );
  }
}
