/**
 * The memory of all fetches: how much each may have asked for that its reader has not taken.
 *
 * It is counted in blocks, as it is allocated. Two blocks are every fetch's, one for the reader and one to fill, so that
 * each continues, however slow its reader or many its neighbours. When memory gets scarce, more is for those whose
 * readers wait for bytes: a full buffer before a slow reader makes nothing faster.
 */
import { BufferPool } from "#base/buffer-pool.ts";

const mebibyte = 1024 * 1024;
const usualSegmentBytes = 8192;
const defaultBudgetBytes = 64 * mebibyte;
/**
 * The part of the budget that is not for the two blocks of each fetch. On a link of 1 Gbit/s and 100 ms where segments
 * are lost, one fetch needs more than two bandwidth-delay products: one on its way, and what waits for those that are
 * missing. More than that would outlast the server's memory, which then reads from its registry again what was lost.
 */
const growthShare = 1 / 2;
/** Of that part, what may be in use before a reader has to wait for bytes to get more. */
const freeShare = 1 / 3;
/**
 * Segments in a block. Large ones make hashing and the HTTP response cheap, small ones let many fetches share the budget:
 * two blocks of 256 KiB for each of 15 fetches, and two of 64 KiB for each of 190 more, are the rest of it.
 */
const [largeBlock, smallBlock] = [32, 8];
const fetchesWithLargeBlocks = 15;
/** Blocks of a fetch that it may have in any case. */
const ownBlocks = 2;
/** Blocks that are kept between uses, of each of the sizes that are in use. */
const maxKeptBytes = 8 * mebibyte;
const maxPools = 8;

/** A budget that any number of consumers share. */
export class FetchMemory {
  /** Bytes of all blocks that are in use or for which segments have been asked. */
  usedBytes = 0;
  /** Those beyond the two blocks of each fetch. */
  #grownBytes = 0;
  readonly #growthBytes: number;
  #fetches = 0;
  /** Fetches whose readers wait for bytes. */
  #awaited = 0;
  readonly #pools = new Map<number, BufferPool>();

  /** @param budgetBytes - For up to 200 fetches at once; each beyond that takes its two blocks in any case. */
  constructor(budgetBytes = defaultBudgetBytes) {
    this.#growthBytes = growthShare * budgetBytes;
  }

  /** Segments of 8192 bytes that the whole budget has room for. */
  get segments(): number {
    return Math.floor(this.#growthBytes / growthShare / usualSegmentBytes);
  }

  /** A fetch begins; its reader waits. @returns the segments in each of its blocks: 32 or 8. */
  join(): number {
    this.#fetches++;
    this.#awaited++;
    return this.#fetches > fetchesWithLargeBlocks ? smallBlock : largeBlock;
  }

  /** A fetch is over; what it had is released already. */
  leave(isAwaited: boolean): void {
    this.#fetches--;
    if (isAwaited) this.#awaited--;
  }

  /** Whether its reader waits for bytes has changed. */
  awaits(isAwaited: boolean): void {
    this.#awaited += isAwaited ? 1 : -1;
  }

  /** Whether a fetch that has so many blocks may have one more. */
  hasRoom(blocks: number, blockBytes: number, isAwaited: boolean): boolean {
    if (blocks < ownBlocks) return true;
    const grownBytes = this.#grownBytes + blockBytes;
    if (grownBytes > (isAwaited ? this.#growthBytes : freeShare * this.#growthBytes)) return false;
    return (blocks + 1) * blockBytes <= this.#growthBytes / Math.max(1, this.#awaited);
  }

  /** A fetch that had so many blocks has one more. */
  grow(blocks: number, blockBytes: number): void {
    this.usedBytes += blockBytes;
    if (blocks >= ownBlocks) this.#grownBytes += blockBytes;
  }

  /** A fetch that had so many blocks has one less. */
  shrink(blocks: number, blockBytes: number): void {
    this.usedBytes -= blockBytes;
    if (blocks > ownBlocks) this.#grownBytes -= blockBytes;
  }

  /** A block with arbitrary content, of a size that others are likely to use as well. */
  take(sizeBytes: number): Buffer {
    return this.#poolOf(sizeBytes)?.take() ?? Buffer.allocUnsafeSlow(sizeBytes);
  }

  /** Take a block back that no one reads or writes any more. */
  give(block: Buffer): void {
    this.#poolOf(block.length)?.give(block);
  }

  #poolOf(sizeBytes: number): BufferPool | undefined {
    const known = this.#pools.get(sizeBytes);
    if (known !== undefined || this.#pools.size >= maxPools) return known;
    const pool = new BufferPool(sizeBytes, Math.floor(maxKeptBytes / sizeBytes));
    this.#pools.set(sizeBytes, pool);
    return pool;
  }
}
