/**
 * Which blobs are being written, and whether one more may be.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Semaphore } from "#base/limits.ts";
import type { Digest } from "#oci/reference.ts";
import { PartialFile, type SharedByWriters, type WriterParts } from "./partial-file.ts";

// A sync takes a thread of four, and on a hard disk a while.
const syncsAtOnce = 2;
// A puller may be waiting: better not to store one blob than to let it wait for a slow disk.
const maxSyncWaitMs = 500;

export class Writers {
  readonly #shared: SharedByWriters;

  constructor(parts: WriterParts) {
    this.#shared = {
      ...parts,
      running: new Map(),
      open: new Set(),
      unsynced: new Set(),
      syncs: new Semaphore(syncsAtOnce),
      isClosed: false,
    };
  }

  /**
   * Begin to write, or continue what broke off.
   *
   * @param isFresh - Take nothing of what broke off.
   */
  async begin(digest: Digest, sizeBytes: number, isFresh = false): Promise<PartialFile | undefined> {
    const { space, health, running } = this.#shared;
    const { entries } = space.blobs;
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > space.maxBytes) return undefined;
    if (running.has(digest) || entries.has(digest)) return undefined;
    await space.jobs.idle(digest);
    if (!space.couldHold(sizeBytes)) {
      // What is being synced cannot be evicted yet, and a small budget may consist of little else.
      await Promise.race([this.settled(), delay(maxSyncWaitMs, undefined, { ref: false })]);
      await space.jobs.idle(digest);
    }
    const isPaused = performance.now() < health.pausedUntil;
    if (this.#shared.isClosed || isPaused || !space.couldHold(sizeBytes)) return undefined;
    if (running.has(digest) || entries.has(digest)) return undefined; // meanwhile
    const writer = new PartialFile(this.#shared, digest, sizeBytes);
    running.set(digest, writer);
    const left = space.partials.get(digest);
    const resumed = isFresh || left?.sizeBytes !== sizeBytes ? undefined : space.takePartial(digest);
    space.reservedBytes += sizeBytes;
    try {
      if (left && !resumed) await space.removePartial(left);
      const { isComplete } = await space.shrinkTo(space.maxBytes);
      if (isComplete && (await writer.open(resumed === undefined))) return writer;
    } catch (err: unknown) {
      writer.refused(err, "beginning to write a blob");
    }
    writer.giveUp(resumed);
    return undefined;
  }

  /** No one shall see what is being written of this blob. */
  async forget(digest: Digest): Promise<void> {
    await this.#shared.running.get(digest)?.forget();
  }

  /** Resolves when everything that has been committed until now is on the disk under its name. */
  async settled(): Promise<void> {
    await Promise.all(this.#shared.unsynced);
  }

  /** Let nothing be written any more, and wait until what was committed is safe. */
  async close(): Promise<void> {
    this.#shared.isClosed = true;
    await Promise.all(Array.from(this.#shared.open, (writer) => writer.atRest()));
    await this.settled();
  }
}
