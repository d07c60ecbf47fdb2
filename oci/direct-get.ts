/**
 * One GET after another over a connection, whose bodies go from the kernel straight into the reader's memory.
 *
 * Hot path: an HTTP library hands out a new 64 KiB buffer for every read, after it has copied it through its parser.
 * For a server that reads a registry on the same host that was a third of its CPU time (`npm run bench`, row "server,
 * direct face, client").
 *
 * `Body` is the body of any answer, read into memory that the reader provides: what is on its way to a page of a cache
 * is not first put into a buffer of its own.
 */
import { connect, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { RegistryUnreachable } from "./errors.ts";

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

const scratchBytes = 64 * 1024;
const maxHeadBytes = 32 * 1024;
/** Of all connections: what is read into it is copied out within the same call. */
const scratch = Buffer.allocUnsafeSlow(scratchBytes);
const nothing = Buffer.alloc(0);
/** Connections that wait for a request, and how long they do: servers close such ones themselves, Node's after 5 s. */
const idleAtMost = 16;
const idleMs = 4_000;
const tooLong = "the registry sent more than Content-Length";

/** The connection ended before anything came in answer to a request. */
export class LostConnection extends Error {}

/** A connection to a registry. */
export class DirectConnection implements Body {
  readonly #socket: Socket;
  readonly #idle: Set<DirectConnection>;
  #signal: AbortSignal | undefined;
  /** Bytes that have come and have not been taken: the head, and what came with it. */
  #early: Buffer = nothing;
  #headDone = Promise.withResolvers<string>();
  #bodyDone = Promise.withResolvers<void>();
  /** Bytes of the body that are still to come. */
  #leftBytes = 0;
  #staysOpen = false;
  #sink: BodySink | undefined;
  #space: Uint8Array = scratch;
  #isPaused = false;

  /** @param idle - Where it is while it waits for a request, with others of the same registry. */
  constructor(url: URL, idle: Set<DirectConnection>) {
    this.#idle = idle;
    this.#socket = connect({
      host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: Number(url.port || 80),
      onread: { buffer: this.#nextSpace, callback: this.#onRead },
    });
    this.#socket.setNoDelay(true);
    this.#socket.on("error", this.#onEnd);
    this.#socket.on("end", () => this.#onEnd(new Error("the registry ended the connection early")));
    this.#socket.on("close", () => this.#onEnd(new Error("connection closed")));
    this.#socket.on("timeout", this.cancel);
  }

  /**
   * Send a request, when no other is under way; the signal ends its body as well.
   *
   * @returns What comes before the body.
   * @throws LostConnection; Error when it breaks off, or the head is too long.
   */
  ask(request: string, signal: AbortSignal): Promise<string> {
    this.#idle.delete(this);
    this.#signal = signal;
    [this.#headDone, this.#bodyDone] = [Promise.withResolvers(), Promise.withResolvers()];
    this.#bodyDone.promise.catch(() => {}); // it is thrown where it is waited for
    if (signal.aborted) this.cancel();
    else signal.addEventListener("abort", this.cancel, { once: true });
    this.#socket.ref();
    this.#socket.setTimeout(0);
    this.#socket.resume();
    this.#socket.write(request, "latin1");
    return this.#headDone.promise;
  }

  /** The body that follows what `ask` has given. @param staysOpen - Whether the connection may be used again after it. */
  bodyOf({ length, staysOpen }: { readonly length: number; readonly staysOpen: boolean }): Body {
    [this.#leftBytes, this.#staysOpen] = [length, staysOpen];
    return this;
  }

  readonly cancel = (): void => {
    this.#signal?.removeEventListener("abort", this.cancel);
    this.#idle.delete(this);
    this.#socket.destroy();
  };

  async pourInto(sink: BodySink): Promise<void> {
    try {
      const early = this.#early;
      this.#early = nothing;
      if (early.length > this.#leftBytes) throw new RegistryUnreachable(tooLong);
      this.#leftBytes -= early.length;
      if ((await copyInto(sink, early)) && this.#leftBytes > 0) {
        this.#sink = sink;
        this.#continue(true);
        await this.#bodyDone.promise;
      }
    } catch (err: unknown) {
      this.cancel();
      this.#signal?.throwIfAborted();
      throw err;
    }
    const isOver = this.#leftBytes === 0 && !this.#socket.destroyed;
    if (isOver && this.#staysOpen && this.#idle.size < idleAtMost) this.#waitForRequest();
    else this.cancel();
  }

  /** It is read meanwhile: the registry may close it, and nothing else. */
  #waitForRequest(): void {
    this.#signal?.removeEventListener("abort", this.cancel);
    this.#sink = undefined;
    this.#isPaused = false;
    this.#idle.add(this);
    this.#socket.setTimeout(idleMs);
    this.#socket.unref();
    this.#socket.resume();
  }

  /** The kernel's next bytes go here. While reading pauses the reader's memory is its own. */
  readonly #nextSpace = (): Uint8Array => {
    this.#space = this.#sink && !this.#isPaused && this.#leftBytes > 0 ? this.#sink.space() : scratch;
    return this.#space;
  };

  readonly #onRead = (bytes: number, buf: Uint8Array): boolean => {
    if (!this.#sink) return this.#takeEarly(buf.subarray(0, bytes));
    if (bytes > this.#leftBytes) {
      this.fail(new RegistryUnreachable(tooLong));
      return false;
    }
    this.#leftBytes -= bytes;
    // A first read after a pause has gone to the scratch buffer.
    const isScratch = this.#space === scratch;
    const wanted = isScratch ? copyInto(this.#sink, buf.subarray(0, bytes)) : this.#sink.filled(bytes);
    if (wanted === true && this.#leftBytes > 0) return true;
    this.#isPaused = true;
    if (typeof wanted === "boolean") this.#continue(wanted);
    else wanted.then(this.#continue, this.fail);
    return false;
  };

  readonly #continue = (isMoreWanted: boolean): void => {
    if (!isMoreWanted || this.#leftBytes === 0) {
      this.#bodyDone.resolve();
      return;
    }
    this.#isPaused = false;
    this.#socket.resume();
  };

  #takeEarly(bytes: Uint8Array): boolean {
    if (this.#idle.has(this)) {
      this.cancel(); // no answer that anyone has asked for
      return false;
    }
    this.#early = Buffer.concat([this.#early, bytes]);
    const end = this.#early.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.#early.length > maxHeadBytes) this.fail(new Error("the registry's headers are too long"));
      return true;
    }
    this.#headDone.resolve(this.#early.toString("latin1", 0, end));
    this.#early = this.#early.subarray(end + 4);
    this.#isPaused = true;
    return false;
  }

  readonly #onEnd = (err: Error): void => {
    this.fail(this.#early.length === 0 && !this.#sink ? new LostConnection(err.message, { cause: err }) : err);
  };

  /** End what is under way. */
  readonly fail = (err: Error): void => {
    this.#headDone.reject(err);
    this.#bodyDone.reject(
      err instanceof RegistryUnreachable ? err : new RegistryUnreachable(err.message, { cause: err }),
    );
    this.cancel();
  };
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
export function copyInto(sink: BodySink, chunk: Uint8Array): boolean | Promise<boolean> {
  for (let at = 0; at < chunk.length; ) {
    const space = sink.space();
    const piece = chunk.subarray(at, at + space.length);
    space.set(piece);
    at += piece.length;
    const wanted = sink.filled(piece.length);
    if (wanted === false) return false;
    if (wanted !== true) {
      const rest = new Uint8Array(chunk.subarray(at)); // the chunk is used again before the answer comes
      return wanted.then((more) => more && copyInto(sink, rest));
    }
  }
  return true;
}
