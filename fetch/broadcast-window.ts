/**
 * The bytes of a broadcast that readers can take: the newest chunk, and as many before it as the window keeps.
 */
import type { ChangeNotifier } from "#base/waiting.ts";
import type { BroadcastBarrier } from "./broadcast-barrier.ts";

/** Bytes `[start, end)` of a blob. */
export interface BroadcastChunk {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

/** Memory for windows, shared by all fetches of a client. */
export class WindowBudget {
  readonly windowBytes: number;
  #left: number;
  /** How to evict those that no one reads, in the order in which they were left. */
  readonly #idle = new Set<() => void>();

  /** @param windows - How many there may be at a time. */
  constructor(windowBytes: number, windows: number) {
    this.windowBytes = windowBytes;
    this.#left = windows;
  }

  /** A window, to be given back; that of a blob that no one reads, if need be. False when all are in use. */
  take(): boolean {
    if (this.#left <= 0) {
      const [evict] = this.#idle;
      if (!evict) return false;
      this.#idle.delete(evict);
      evict();
    }
    this.#left -= 1; // below 0 until the evicted one is given back
    return true;
  }

  /** No one reads this one at the moment: `evict` makes its owner give it back. */
  offer(evict: () => void): void {
    this.#idle.add(evict);
  }

  withdraw(evict: () => void): void {
    this.#idle.delete(evict);
  }

  give(evict: () => void): void {
    this.#idle.delete(evict);
    this.#left += 1;
  }
}

/** Gives chunk after chunk, no faster than the slowest reader takes them. */
export class BroadcastWindow {
  readonly #readers: ReadonlySet<object>;
  readonly #changes: ChangeNotifier;
  readonly #barrier: BroadcastBarrier;
  readonly #windowBytes: number;
  readonly #chunks: BroadcastChunk[] = [];
  #keptBytes = 0;
  #start = 0;

  /**
   * @param changes - Notified when a reader has come, has taken something or has left; and notified of each chunk.
   * @param windowBytes - 0 keeps nothing: each chunk is given to those who are present.
   */
  constructor(readers: ReadonlySet<object>, changes: ChangeNotifier, barrier: BroadcastBarrier, windowBytes: number) {
    this.#readers = readers;
    this.#changes = changes;
    this.#barrier = barrier;
    this.#windowBytes = windowBytes;
  }

  /** Bytes before this one are gone. */
  get start(): number {
    return this.#start;
  }

  /** The chunk that has the byte at `position`, if it is kept. */
  chunkAt(position: number): BroadcastChunk | undefined {
    return this.#chunks.find(({ start, end }) => start <= position && position < end);
  }

  /** Give the bytes; resolves when they are taken or kept, and the caller may use their buffer again. */
  async add(start: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const isKept = this.#windowBytes > 0;
    const end = start + bytes.length;
    if (this.#chunks.length === 0) this.#start = start;
    this.#chunks.push({ start, end, bytes: isKept ? Buffer.from(bytes) : bytes });
    this.#keptBytes += bytes.length;
    this.#changes.notify();
    while (this.#keptBytes > this.#windowBytes) {
      // One that comes next wants what is kept: containerd drops requests and makes new ones.
      while (isKept && this.#readers.size === 0) await this.#changes.wait(signal);
      await this.#barrier.taken(this.#chunks[0]!.end, signal);
      this.#drop();
    }
  }

  #drop(): void {
    const { start, end } = this.#chunks.shift()!;
    this.#keptBytes -= end - start;
    this.#start = end;
  }
}
