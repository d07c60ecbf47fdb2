/**
 * GETs of one registry whose bodies go from the kernel straight into the reader's memory.
 *
 * Only the plain case is done here, everything else is the library's: no TLS, no login, no redirect, no chunked body.
 */
import type { IncomingHttpHeaders } from "node:http";
import { type Body, DirectConnection, LostConnection } from "./direct-get.ts";

/** An answer whose body is still to be read. */
export interface DirectAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Of a 200 or 206; its length is that of Content-Length. Of a refusal nothing but `cancel` is of use. */
  readonly body: Body;
}

/** Asks one registry; its connections are used again for a few seconds. */
export class DirectClient {
  readonly #idle = new Set<DirectConnection>();

  /**
   * Ask; the body has to be read or cancelled.
   *
   * @param url - `http:`, of this registry; headers must be fit for the wire.
   * @param signal - Ends the request, and the body as well.
   * @returns undefined when the answer is none of the plain ones, and the library has to ask.
   */
  async get(
    url: URL,
    headers: Readonly<Record<string, string>>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<DirectAnswer | undefined> {
    const kept = [...this.#idle].at(-1);
    const connection = kept ?? new DirectConnection(url, this.#idle);
    const timer = setTimeout(() => connection.fail(new Error("no answer in time")), timeoutMs);
    try {
      const head = parseHead(await connection.ask(requestHead(url, headers), signal));
      if (head) return { status: head.status, headers: head.headers, body: connection.bodyOf(head) };
    } catch (err: unknown) {
      // A registry may close a connection after an answer, which may go unseen until the next request.
      if (kept && err instanceof LostConnection && !signal.aborted) return this.get(url, headers, timeoutMs, signal);
      // else the library asks again, and says what is wrong
    } finally {
      clearTimeout(timer);
    }
    connection.cancel();
    signal.throwIfAborted();
    return undefined;
  }

  /** Close the connections that wait for a request. */
  close(): void {
    for (const connection of this.#idle) connection.cancel();
  }
}

function requestHead(url: URL, headers: Readonly<Record<string, string>>): string {
  let head = `GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
  return `${head}\r\n`;
}

interface Head {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Of the body, in bytes. */
  readonly length: number;
  /** Whether the registry takes another request over the connection. */
  readonly staysOpen: boolean;
}

/** Status and headers of an answer that can be read here (RFC 9112 § 4 to § 6). */
function parseHead(text: string): Head | undefined {
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
  if (status >= 400) return { status, headers, length: 0, staysOpen: false };
  const length = headers["content-length"];
  const isPlain = (status === 200 || status === 206) && headers["transfer-encoding"] === undefined;
  if (!isPlain || !/^\d{1,15}$/.test(length ?? "")) return undefined;
  const staysOpen = statusLine.startsWith("HTTP/1.1") && headers.connection === undefined;
  return { status, headers, length: Number(length), staysOpen };
}
