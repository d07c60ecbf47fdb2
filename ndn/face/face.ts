/**
 * A face: where packets go out and come in. What differs between a stream, datagrams and memory is only `transmit`.
 *
 * Hot path: packets are written straight into a batch buffer, and the batch leaves once per turn of the event loop:
 * one write(2) for dozens of packets (`npm run bench`, row "server, ndnd, client").
 */
import { BufferPool } from "#base/buffer-pool.ts";
import type { PacketView } from "../packet/packet-view.ts";

/** Someone who takes packets from a face. */
export interface PacketHandler {
  /** Take this packet; false leaves it to the next handler. The view is only valid during the call. */
  accept(view: PacketView, face: Face): boolean;
}

/** Size of a batch in bytes; a packet is always smaller. */
const batchBytes = 256 * 1024;
/** Above this many bytes waiting to leave, the face stops reading requests; below a quarter it reads again. */
const highWaterBytes = 4 * 1024 * 1024;
/** Above this many bytes waiting on all faces of the process together each one gets … */
export const highWaterOfAllBytes = 16 * 1024 * 1024;
/** … no more than this. */
const crowdedHighWaterBytes = 256 * 1024;
/** Batches kept for all faces together: as many as wait on one that is held back, or each of them is new garbage. */
const pooledBatches = 2 * (highWaterBytes / batchBytes);
const batches = new BufferPool(batchBytes, pooledBatches);

/** What waits to leave on all faces. */
let waitingOfAllBytes = 0;

/** The buffer of a face that has nothing to send. */
const nothing = Buffer.alloc(0);

/** Packets out and in; who opened it closes it. */
export abstract class Face {
  /** For logs, e.g. `unix:///run/nfd/nfd.sock`. */
  readonly describe: string;
  /** It is closed, by either end: no one waits for an answer there. */
  isGone = false;
  /** Whether the other end is on this machine: decides the registration prefix and how marks are read. */
  readonly isLocal: boolean;
  readonly #handlers: readonly PacketHandler[];
  /** Buffer to write the next packet into; valid after `reserve` and until `commit`. */
  buffer: Buffer = nothing;
  #used = 0;
  #waitingBytes = 0;
  #readingPaused = false;
  readonly #flushSoon = () => this.#flush();

  /** @param handlers - Are offered what comes in, in their order; there may be more of them later. */
  constructor(describe: string, isLocal: boolean, handlers: readonly PacketHandler[]) {
    this.describe = describe;
    this.isLocal = isLocal;
    this.#handlers = handlers;
  }

  /** Offer a packet that came in to the handlers. */
  protected received(view: PacketView): void {
    for (const handler of this.#handlers) if (handler.accept(view, this)) return;
  }

  /** Make room for a packet of at most `bytes`; returns the offset in `buffer` where it begins. */
  reserve(bytes: number): number {
    if (this.#used + bytes > batchBytes) this.#flush();
    if (this.buffer === nothing) {
      this.buffer = batches.take();
      this.atEndOfTurn(this.#flushSoon);
    }
    return this.#used;
  }

  /** The packet written since `reserve` ends at `end`. */
  commit(end: number): void {
    this.#used = end;
  }

  /** Send one whole packet. */
  send(packet: Uint8Array): void {
    const at = this.reserve(packet.length);
    this.buffer.set(packet, at);
    this.#used = at + packet.length;
  }

  /** Share of the datagrams with parts of packets that have not arrived lately; 0 where there are none. */
  get fragmentLoss(): number {
    return 0;
  }

  /** Close the face; nothing is sent or received afterwards. */
  abstract close(): void;
  /** Hand whole packets to the medium; `release` must be called once when `bytes` is no longer needed. */
  protected abstract transmit(bytes: Buffer, release: () => void): void;
  /** Stop or continue taking packets in. */
  protected abstract setReading(reading: boolean): void;

  /** Have a batch sent when all that is at hand has been written. */
  protected atEndOfTurn(flush: () => void): void {
    queueMicrotask(flush);
  }

  /** Less than this is copied out of the batch before it is sent: a slow peer must not hold a whole one for a few packets. */
  protected get copiedBelowBytes(): number {
    return 32 * 1024;
  }

  #flush(): void {
    const batch = this.buffer;
    const used = this.#used;
    if (batch === nothing) return;
    this.buffer = nothing;
    this.#used = 0;
    const isSmall = used < this.copiedBelowBytes;
    const held = isSmall ? used : batch.length;
    this.#waitingBytes += held;
    waitingOfAllBytes += held;
    if (this.#waitingBytes > highWater() && !this.#readingPaused) this.#setReading(false);
    const bytes = isSmall ? Buffer.from(batch.subarray(0, used)) : batch.subarray(0, used);
    if (isSmall) batches.give(batch);
    this.transmit(bytes, () => {
      if (!isSmall) batches.give(batch);
      this.#waitingBytes -= held;
      waitingOfAllBytes -= held;
      if (this.#readingPaused && this.#waitingBytes < highWater() / 4) this.#setReading(true);
    });
  }

  #setReading(reading: boolean): void {
    this.#readingPaused = !reading;
    this.setReading(reading);
  }
}

/** So many bytes may wait on one face. */
function highWater(): number {
  return waitingOfAllBytes > highWaterOfAllBytes ? crowdedHighWaterBytes : highWaterBytes;
}
