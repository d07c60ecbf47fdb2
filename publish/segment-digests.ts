/**
 * The implicit digests of an object's segments: sha256 over each whole packet, as the producer writes it.
 *
 * Hot path: packets are written into one buffer after another and hashed there with one call; nothing but the digests
 * is kept, and the event loop gets its turn after each page, so that segments are answered meanwhile. A hash comes as hex,
 * which Node makes faster than a Buffer.
 */
import { hash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { maxPacketBytes } from "#ndn/packet/tlv.ts";
import type { Payload, Puller, SegmentedObject, SegmentWaiter } from "#ndn/producer.ts";

/** An object whose segments are read, but not to be sent. */
export interface HashedSegments extends Puller, Pick<SegmentedObject, "encoder" | "lastSegment"> {
  /** The payload of segment `n`, if it is in memory; as `locate` gives it. */
  peek(n: number): Payload | undefined;
  /** Segments `[start, end)` are about to be peeked at: what is in memory stays until then. @returns ends it */
  startHashing(start: number, end: number): () => void;
  /** Read segment `n`, then tell `waiter`; those behind it up to `end` are asked of the registry at the same time. */
  load(n: number, waiter: SegmentWaiter, end: number): void;
}

/** Bytes of a digest. */
export const digestBytes = 32;
/** As many full segments as there are in a page. */
const segmentsPerTurn = 32;
/** A page that was read may have made room for others before its turn came, or its read may have failed. */
const maxReads = 3;

/** Used within one synchronous call at a time. */
const packet = Buffer.allocUnsafeSlow(maxPacketBytes);

/** Digests of segments `[start, end)`, one after another. @throws Error when a segment cannot be read now. */
export async function digestsOf(
  object: HashedSegments,
  start: number,
  end: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const stop = object.startHashing(start, end);
  try {
    return await hashEach(object, start, end, signal);
  } finally {
    stop();
  }
}

async function hashEach(object: HashedSegments, start: number, end: number, signal: AbortSignal): Promise<Buffer> {
  const digests = Buffer.alloc((end - start) * digestBytes);
  for (let n = start; n < end; n++) {
    if (n > start && (n - start) % segmentsPerTurn === 0) await setImmediate(undefined, { signal });
    const digest = digestOf(object, n) ?? (await digestWhenRead(object, n, end, signal));
    digests.write(digest, (n - start) * digestBytes, "hex");
  }
  return digests;
}

/** Hex; undefined while the segment is not in memory. */
function digestOf(object: HashedSegments, n: number): string | undefined {
  const payload = object.peek(n);
  if (payload === undefined) return undefined;
  const end = object.encoder.write(packet, 0, n, payload.buf, payload.start, payload.end);
  return hash("sha256", packet.subarray(0, end), "hex");
}

async function digestWhenRead(object: HashedSegments, n: number, end: number, signal: AbortSignal): Promise<string> {
  for (let reads = 0; reads < maxReads; reads++) {
    await new Promise<void>((done) => object.load(n, { puller: object, isWaiting: () => true, done }, end));
    signal.throwIfAborted();
    const digest = digestOf(object, n);
    if (digest) return digest;
  }
  throw new Error(`segment ${n} could not be read ${maxReads} times`);
}
