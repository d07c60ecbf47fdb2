/**
 * One GET over a connection of its own, whose body goes from the kernel straight into the reader's memory.
 *
 * Hot path: an HTTP library hands out a new 64 KiB buffer for every read, after it has copied it through its parser.
 * For a server that reads a registry on the same host that was a third of its CPU time (`npm run bench`, row "server,
 * direct face, client"). Only the plain case is done here, everything else is the library's: no TLS, no login, no
 * redirect, no chunked body.
 *
 * `Body` is the body of any answer, read into memory that the reader provides: what is on its way to a page of a cache
 * is not first put into a buffer of its own.
 */
import type { IncomingHttpHeaders } from "node:http";
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

/** An answer whose body is still to be read. */
export interface DirectAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Of a 200 or 206; its length is that of Content-Length. Of a refusal nothing but `cancel` is of use. */
  readonly body: Body;
}

const scratchBytes = 64 * 1024;
const maxHeadBytes = 32 * 1024;
/** Of all connections: what is read into it is copied out within the same call. */
const scratch = Buffer.allocUnsafeSlow(scratchBytes);
const tooLong = "the registry sent more than Content-Length";

/**
 * Ask; the body has to be read or cancelled.
 *
 * @param url - `http:`; headers must be fit for the wire.
 * @param signal - Ends the request, and the body as well.
 * @returns undefined when the answer is none of the plain ones, and the library has to ask.
 */
export async function directGet(
  url: URL,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<DirectAnswer | undefined> {
  const connection = new Connection(url, requestHead(url, headers), signal);
  const timer = setTimeout(connection.cancel, timeoutMs);
  try {
    const head = parseHead(await connection.head);
    if (head) {
      connection.leftBytes = head.length;
      return { ...head, body: connection };
    }
  } catch {
    // the library asks again, and says what is wrong
  } finally {
    clearTimeout(timer);
  }
  connection.cancel();
  signal.throwIfAborted();
  return undefined;
}

/** A connection for one request, and the body of its answer. */
class Connection implements Body {
  /** What comes before the body. */
  readonly head: Promise<string>;
  /** Bytes of the body that are still to come; set before it is read. */
  leftBytes = 0;
  readonly #socket: Socket;
  readonly #signal: AbortSignal;
  /** Bytes that have come and have not been taken: the head, and what came with it. */
  #early = Buffer.alloc(0);
  readonly #headDone = Promise.withResolvers<string>();
  readonly #bodyDone = Promise.withResolvers<void>();
  #sink: BodySink | undefined;
  #space: Uint8Array = scratch;
  #isPaused = false;

  constructor(url: URL, request: string, signal: AbortSignal) {
    this.#signal = signal;
    this.head = this.#headDone.promise;
    this.head.catch(() => {}); // it is thrown where it is waited for
    this.#bodyDone.promise.catch(() => {});
    this.#socket = connect({
      host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: Number(url.port || 80),
      onread: { buffer: this.#nextSpace, callback: this.#onRead },
    });
    this.#socket.setNoDelay(true);
    this.#socket.on("error", this.#fail);
    this.#socket.on("end", () => this.#fail(new Error("the registry ended the connection early")));
    this.#socket.on("close", this.#onClose);
    if (signal.aborted) this.cancel();
    else signal.addEventListener("abort", this.cancel, { once: true });
    this.#socket.resume();
    this.#socket.write(request, "latin1");
  }

  readonly cancel = (): void => {
    this.#signal.removeEventListener("abort", this.cancel);
    this.#socket.destroy();
  };

  async pourInto(sink: BodySink): Promise<void> {
    try {
      const early = this.#early;
      if (early.length > this.leftBytes) throw new RegistryUnreachable(tooLong);
      this.leftBytes -= early.length;
      if (!(await copyInto(sink, early)) || this.leftBytes === 0) return;
      this.#sink = sink;
      this.#continue(true);
      await this.#bodyDone.promise;
    } catch (err: unknown) {
      this.#signal.throwIfAborted();
      throw err;
    } finally {
      this.#socket.off("close", this.#onClose);
      this.cancel();
    }
  }

  /** The kernel's next bytes go here. While reading pauses the reader's memory is its own. */
  readonly #nextSpace = (): Uint8Array => {
    this.#space = this.#sink && !this.#isPaused && this.leftBytes > 0 ? this.#sink.space() : scratch;
    return this.#space;
  };

  readonly #onRead = (bytes: number, buf: Uint8Array): boolean => {
    if (!this.#sink) return this.#takeEarly(buf.subarray(0, bytes));
    if (bytes > this.leftBytes) {
      this.#fail(new RegistryUnreachable(tooLong));
      return false;
    }
    this.leftBytes -= bytes;
    // A first read after a pause has gone to the scratch buffer.
    const isScratch = this.#space === scratch;
    const wanted = isScratch ? copyInto(this.#sink, buf.subarray(0, bytes)) : this.#sink.filled(bytes);
    if (wanted === true && this.leftBytes > 0) return true;
    this.#isPaused = true;
    if (typeof wanted === "boolean") this.#continue(wanted);
    else wanted.then(this.#continue, this.#fail);
    return false;
  };

  readonly #continue = (isMoreWanted: boolean): void => {
    if (!isMoreWanted || this.leftBytes === 0) {
      this.#bodyDone.resolve();
      return;
    }
    this.#isPaused = false;
    this.#socket.resume();
  };

  #takeEarly(bytes: Uint8Array): boolean {
    this.#early = Buffer.concat([this.#early, bytes]);
    const end = this.#early.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.#early.length > maxHeadBytes) this.#fail(new Error("the registry's headers are too long"));
      return true;
    }
    this.#headDone.resolve(this.#early.toString("latin1", 0, end));
    this.#early = this.#early.subarray(end + 4);
    this.#isPaused = true;
    return false;
  }

  readonly #onClose = (): void => this.#fail(new Error("connection closed"));

  readonly #fail = (err: Error): void => {
    this.#headDone.reject(err);
    this.#bodyDone.reject(
      err instanceof RegistryUnreachable ? err : new RegistryUnreachable(err.message, { cause: err }),
    );
    this.cancel();
  };
}

function requestHead(url: URL, headers: Readonly<Record<string, string>>): string {
  let head = `GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\nconnection: close\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
  return `${head}\r\n`;
}

/** Status and headers of an answer that can be read here (RFC 9112 § 4 to § 6). */
function parseHead(text: string): { status: number; headers: IncomingHttpHeaders; length: number } | undefined {
  const [statusLine = "", ...lines] = text.split("\r\n");
  const status = Number(/^HTTP\/1\.[01] ([2-5]\d\d) /.exec(`${statusLine} `)?.[1]);
  if (!status || status === 401 || (status >= 300 && status < 400)) return undefined;
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) return undefined;
    const key = name.toLowerCase();
    headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
  }
  if (status >= 400) return { status, headers, length: 0 };
  const length = headers["content-length"];
  const isPlain = (status === 200 || status === 206) && headers["transfer-encoding"] === undefined;
  return isPlain && /^\d{1,15}$/.test(length ?? "") ? { status, headers, length: Number(length) } : undefined;
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
