/**
 * The body of an answer, read into memory that the reader provides: what is on its way to a page of a cache is not
 * first put into a buffer of its own.
 */
import type { Readable } from "node:stream";

/** Takes a body in order. */
export interface BodySink {
  /** Where the next bytes go; at least one byte long. It is filled before `space` is called again. */
  space(): Uint8Array;
  /** So many bytes are there now. False: no more are wanted; a promise: the answer comes later, no bytes before it. */
  filled(bytes: number): boolean | Promise<boolean>;
}

/** A body that has not been read yet; the owner calls one of the two, once. */
export interface Body {
  /**
   * Read to the end, or until the sink wants no more, and let go of the body.
   * @throws Error when it breaks off before its length, or the request's signal fires.
   */
  pourInto(sink: BodySink): Promise<void>;
  /** Give it up unread. */
  cancel(): void;
}

/** A stream of buffers as a body: every byte is copied once. */
export function bodyOf(stream: Readable): Body {
  return {
    async pourInto(sink) {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        if (!(await copyInto(sink, chunk))) return;
      }
    },
    cancel: () => void stream.destroy(),
  };
}

/** Hand over bytes that are somewhere else; false when no more are wanted. At once, unless the sink wants to be waited for. */
export function copyInto(sink: BodySink, chunk: Uint8Array, from = 0): boolean | Promise<boolean> {
  for (let at = from; at < chunk.length; ) {
    const space = sink.space();
    const piece = chunk.subarray(at, at + space.length);
    space.set(piece);
    at += piece.length;
    const wanted = sink.filled(piece.length);
    if (wanted === false) return false;
    if (wanted !== true) return wanted.then((more) => more && copyInto(sink, chunk, at));
  }
  return true;
}
