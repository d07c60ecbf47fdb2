/**
 * One GET over a connection of its own, whose body goes from the kernel straight into the reader's memory.
 *
 * Hot path: an HTTP library hands out a new 64 KiB buffer for every read, after it has copied it through its parser.
 * For a server that reads a registry on the same host that was a third of its CPU time (`npm run bench`, row "server,
 * direct face, client"). Only the plain case is done here, everything else is the library's: no TLS, no login, no
 * redirect, no chunked body.
 */
import type { IncomingHttpHeaders } from "node:http";
import { connect, type Socket } from "node:net";
import { type Body, type BodySink, copyInto } from "./body.ts";
import { RegistryUnreachable } from "./errors.ts";

/** An answer whose body is still to be read. */
export interface DirectAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Of a 200 or 206; its length is that of Content-Length. Of a refusal nothing but `cancel` is of use. */
  readonly body: Body;
}

const scratchBytes = 64 * 1024;
const maxHeadBytes = 32 * 1024;

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
  const connection = new Connection(url, signal);
  const timer = setTimeout(() => connection.destroy(), timeoutMs);
  try {
    connection.send(requestHead(url, headers));
    const head = parseHead(await connection.head);
    if (head) return { ...head, body: connection.body(head.length) };
  } catch {
    // the library asks again, and says what is wrong
  } finally {
    clearTimeout(timer);
  }
  connection.destroy();
  signal.throwIfAborted();
  return undefined;
}

class Connection {
  /** What comes before the body. */
  readonly head: Promise<string>;
  private readonly socket: Socket;
  private readonly signal: AbortSignal;
  private readonly onAbort = () => this.destroy();
  private readonly scratch = Buffer.allocUnsafe(scratchBytes);
  /** Bytes that have come and that nobody has taken: the head, and what came with it. */
  private early = Buffer.alloc(0);
  private readonly headDone = Promise.withResolvers<string>();
  private readonly bodyDone = Promise.withResolvers<void>();
  private sink: BodySink | undefined;
  private space: Uint8Array;
  private leftBytes = 0;
  private isPaused = false;

  constructor(url: URL, signal: AbortSignal) {
    this.signal = signal;
    this.head = this.headDone.promise;
    this.space = this.scratch;
    this.head.catch(() => {}); // whoever waits for it hears of it
    this.bodyDone.promise.catch(() => {});
    this.socket = connect({
      host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: Number(url.port || 80),
      onread: { buffer: () => this.nextSpace(), callback: (bytes, buf) => this.onRead(bytes, buf as Buffer) },
    });
    this.socket.setNoDelay(true);
    this.socket.on("error", (err) => this.fail(err));
    this.socket.on("end", () => this.fail(new Error("the registry ended the connection early")));
    this.socket.on("close", () => this.fail(new Error("connection closed")));
    if (signal.aborted) this.destroy();
    else signal.addEventListener("abort", this.onAbort, { once: true });
    this.socket.resume();
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  destroy(): void {
    this.signal.removeEventListener("abort", this.onAbort);
    this.socket.destroy();
  }

  body(length: number): Body {
    this.leftBytes = length;
    return {
      pourInto: async (sink) => {
        try {
          await this.pour(sink);
        } catch (err: unknown) {
          this.signal.throwIfAborted();
          throw err;
        } finally {
          this.destroy();
        }
      },
      cancel: () => this.destroy(),
    };
  }

  private async pour(sink: BodySink): Promise<void> {
    const { early } = this;
    if (early.length > this.leftBytes) throw new RegistryUnreachable("the registry sent more than Content-Length");
    this.leftBytes -= early.length;
    if (!(await copyInto(sink, early)) || this.leftBytes === 0) return;
    this.sink = sink;
    this.goOn(true);
    await this.bodyDone.promise;
  }

  /** The kernel's next bytes go here. While reading pauses the reader's memory is its own. */
  private nextSpace(): Uint8Array {
    this.space = this.sink && !this.isPaused && this.leftBytes > 0 ? this.sink.space() : this.scratch;
    return this.space;
  }

  private onRead(bytes: number, buf: Buffer): boolean {
    if (!this.sink) return this.takeEarly(buf.subarray(0, bytes));
    if (bytes > this.leftBytes) {
      this.fail(new RegistryUnreachable("the registry sent more than Content-Length"));
      return false;
    }
    this.leftBytes -= bytes;
    // A first read after a pause has gone to the scratch buffer.
    const wanted = this.space === this.scratch ? copyInto(this.sink, buf.subarray(0, bytes)) : this.sink.filled(bytes);
    if (wanted === true && this.leftBytes > 0) return true;
    this.isPaused = true;
    if (typeof wanted === "boolean") this.goOn(wanted);
    else
      wanted.then(
        (more) => this.goOn(more),
        (err: Error) => this.fail(err),
      );
    return false;
  }

  private goOn(isMoreWanted: boolean): void {
    if (!isMoreWanted || this.leftBytes === 0) {
      this.bodyDone.resolve();
      return;
    }
    this.isPaused = false;
    this.socket.resume();
  }

  private takeEarly(bytes: Buffer): boolean {
    this.early = Buffer.concat([this.early, bytes]);
    const end = this.early.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.early.length > maxHeadBytes) this.fail(new Error("the registry's headers are too long"));
      return true;
    }
    this.headDone.resolve(this.early.toString("latin1", 0, end));
    this.early = this.early.subarray(end + 4);
    this.isPaused = true;
    return false;
  }

  private fail(err: Error): void {
    this.headDone.reject(err);
    this.bodyDone.reject(
      err instanceof RegistryUnreachable ? err : new RegistryUnreachable(err.message, { cause: err }),
    );
    this.destroy();
  }
}

function requestHead(url: URL, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\nconnection: close\r\n${lines.join("")}\r\n`;
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
