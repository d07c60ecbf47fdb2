/**
 * Requests that are no HTTP, too long, or too slow: how they are answered.
 */
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { errorJson } from "#oci/errors.ts";

/** A socket, with the response that Node is writing to it, if any. */
interface HttpSocket extends Socket {
  readonly _httpMessage?: { readonly headersSent: boolean } | null;
}

const lingerMs = 1_000;

/** For `fastify({ clientErrorHandler })`: answers in the registry's JSON and closes the connection. */
export function answerBrokenRequest(err: Error & { code?: string }, socket: Socket): void {
  if (socket.writableEnded) return; // answered already; more of the same request came in
  // In the middle of an answer, another one would become part of a blob. Node looks at the same field by itself.
  const isAnswering = (socket as HttpSocket)._httpMessage?.headersSent === true;
  const problem = problemOf(err.code);
  if (!problem || !socket.writable || isAnswering) return void socket.destroy();
  socket.end(answerOf(...problem));
  // Closed at once, with bytes unread, the connection would be reset before the puller has read the answer.
  setTimeout(() => socket.destroy(), lingerMs).unref();
}

function answerOf(status: number, message: string): string {
  const body = errorJson(status === 408 ? "UNAVAILABLE" : "UNSUPPORTED", message);
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Docker-Distribution-Api-Version: registry/2.0",
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
    "",
    body,
  ].join("\r\n");
}

/** Undefined for what is no request at all: a reset, a failed TLS handshake. */
function problemOf(code = ""): [status: number, message: string] | undefined {
  if (code === "HPE_HEADER_OVERFLOW") return [431, "the request's headers are too long"];
  if (code === "HPE_CHUNK_EXTENSIONS_OVERFLOW") return [413, "the request's chunk extensions are too long"];
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return [408, "the request's headers took too long"];
  return code.startsWith("HPE_") ? [400, "this is not an HTTP request"] : undefined;
}
