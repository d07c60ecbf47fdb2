/**
 * One answer of the registry, from asking to its last byte.
 */
import { setImmediate } from "node:timers/promises";
import type { BlobRef } from "#blob/source.ts";
import type { PageMemory } from "./page-memory.ts";
import type { PageStream, ReadLimit } from "./page-stream.ts";
import type { RangeRead, RangeReader } from "./range-reader.ts";

/** A read of the registry that makes no progress for this long is broken off. */
const readTimeoutMs = 30_000;

/** What all blobs of a server share. */
export interface BlobPagesContext {
  readonly reader: RangeReader;
  readonly memory: PageMemory;
  readonly limit: ReadLimit;
  /** Ends every read when the server stops. */
  readonly signal: AbortSignal;
  /** Counts bytes that came from the registry. */
  readonly readBytes: { inc(bytes: number): void };
  onReadFailed(blob: BlobRef, reason: Error): void;
}

/** A read that the registry has answered. */
export interface OpenedRead extends RangeRead {
  readonly abort: AbortController;
}

/** Ask for `[start, end)`; few requests are unanswered at a time. @returns undefined and throws as `RangeReader` */
export async function openRead(
  { reader, limit, signal }: BlobPagesContext,
  ref: BlobRef,
  start: number,
  end: number,
  abort: AbortController = new AbortController(),
): Promise<OpenedRead | undefined> {
  const both = AbortSignal.any([signal, abort.signal]);
  const read = await limit.unanswered.run(() => reader.read(ref, start, end, both), both);
  return read && { ...read, abort };
}

/**
 * Read a stream to its end; one that is closed while it pauses, as proxies do, goes on from the same byte.
 *
 * @param ask - Asks for what `stream.planRead` says; `abort` ends what it gives.
 * @param filled - Called when so many bytes have come into the page of the stream.
 * @param opened - A read whose connection counts already.
 * @returns why it has ended early
 */
export async function fillStream(
  stream: PageStream,
  ask: (abort: AbortController) => Promise<OpenedRead>,
  filled: (stream: PageStream, bytes: number) => void,
  ref: BlobRef,
  context: BlobPagesContext,
  opened: OpenedRead | undefined,
): Promise<Error | undefined> {
  const { limit, signal } = context;
  try {
    if (!opened) await limit.acquire(signal);
    try {
      // Interests that have come together are one request: those for a part, and for the digest lists around it.
      if (!opened) await setImmediate();
      stream.hasBegun = true;
      let [first, reopenedAt] = [opened, -1];
      for (; await stream.advance(); first = undefined) {
        const abort = first?.abort ?? new AbortController();
        const reason = await pour(stream, () => first ?? ask(abort), abort, filled);
        signal.throwIfAborted();
        if (reason === undefined) continue;
        const isInVain = stream.next === reopenedAt || !(stream.hasPaused || stream.isWanted());
        if (isInVain) return reason;
        if (!stream.hasPaused) context.onReadFailed(ref, reason);
        reopenedAt = stream.next;
      }
      first?.body.cancel();
    } finally {
      limit.release();
    }
  } catch (err: unknown) {
    return err as Error;
  }
  return undefined;
}

/**
 * Fill the pages of a stream, which has one, while the registry sends and more is wanted.
 *
 * @param open - Asks; `abort` ends what it gives.
 * @param filled - Called when so many bytes have come into the page of the stream.
 * @returns The reason why it has ended before the stream did.
 */
async function pour(
  stream: PageStream,
  open: () => OpenedRead | Promise<OpenedRead>,
  abort: AbortController,
  filled: (stream: PageStream, bytes: number) => void,
): Promise<Error | undefined> {
  const breakOff = () => abort.abort(new Error("the registry sends nothing"));
  // A stream without a page waits for memory, or for readers: the registry is not the slow one.
  const timer = setTimeout(() => void (stream.page ? breakOff() : timer.refresh()), readTimeoutMs);
  try {
    const { body } = await open();
    await body.pourInto({
      space: () => stream.page!.buf.subarray(stream.page!.filledBytes),
      filled(bytes) {
        timer.refresh();
        filled(stream, bytes);
        return stream.advance();
      },
    });
    return stream.isAtEnd ? undefined : new Error("the registry's answer was too short");
  } catch (err: unknown) {
    return err as Error;
  } finally {
    clearTimeout(timer);
  }
}
