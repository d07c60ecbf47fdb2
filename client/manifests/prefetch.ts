/**
 * Blobs that a puller is about to ask for, fetched ahead: never so many that those who wait for one would suffer.
 */
import type { Digest } from "#oci/digest.ts";

/** A blob to be fetched ahead, in the name of the puller that will want it. */
export interface PrefetchWish {
  readonly repository: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly credential: string | undefined;
}

export interface PrefetchOptions {
  /** Fetch it into the store, if it is not there. What it throws ends only this fetch. */
  readonly fetch: (wish: PrefetchWish, signal: AbortSignal) => Promise<void>;
  /** @defaultValue 2 */
  readonly concurrency?: number | undefined;
  /** Waiting ones; those beyond are dropped. @defaultValue 256 */
  readonly maxQueued?: number | undefined;
  readonly onError?: ((err: unknown, wish: PrefetchWish) => void) | undefined;
}

/** The queue. */
export interface Prefetch {
  /** False when it is dropped: the queue is full or closed, or the blob is in it or being fetched already. */
  add(wish: PrefetchWish): boolean;
  /** Drop what waits, abort what runs, and wait for that. */
  close(): Promise<void>;
}

export function createPrefetch({ fetch, concurrency = 2, maxQueued = 256, onError }: PrefetchOptions): Prefetch {
  const queued = new Map<string, PrefetchWish>();
  const running = new Map<string, Promise<void>>();
  const closing = new AbortController();

  const fetchOne = async (key: string, wish: PrefetchWish) => {
    try {
      await fetch(wish, closing.signal);
    } catch (err: unknown) {
      if (!closing.signal.aborted) onError?.(err, wish);
    } finally {
      running.delete(key);
      startNext();
    }
  };
  const startNext = () => {
    for (const [key, wish] of queued) {
      if (running.size >= concurrency) return;
      queued.delete(key);
      // Registered before it begins: a fetch that is done at once must find itself.
      running.set(
        key,
        Promise.resolve().then(() => fetchOne(key, wish)),
      );
    }
  };

  return {
    add(wish) {
      const key = `${wish.repository}@${wish.digest}`;
      if (closing.signal.aborted || queued.has(key) || running.has(key)) return false;
      if (running.size >= concurrency && queued.size >= maxQueued) return false;
      queued.set(key, wish);
      startNext();
      return true;
    },
    async close() {
      queued.clear();
      closing.abort();
      await Promise.all(running.values());
    },
  };
}
