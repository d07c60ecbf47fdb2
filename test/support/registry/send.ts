/** Writes answers: the registry's headers, its refusals, and bodies that may be slow or stop short. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { RegistryError } from "#oci/errors.ts";
import type { Answer } from "./fault.ts";

const pieceBytes = 64 * 1024;
const slowPieceMs = 25;

/** A complete answer; the body is left out for HEAD. */
export function reply(
  res: ServerResponse,
  status: number,
  headers: Record<string, string | number> = {},
  body: Buffer | string = "",
): void {
  if (status !== 204 && status !== 304) res.setHeader("content-length", Buffer.byteLength(body));
  res.writeHead(status, headers);
  res.end(res.req.method === "HEAD" ? undefined : body);
}

/** Turns what a handler threw into the registry's JSON; a bug of the registry becomes a 500. */
export function refuse(res: ServerResponse, err: unknown): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const error = err instanceof RegistryError ? err : new RegistryError("UNKNOWN", String(err));
  reply(res, error.status, { "content-type": "application/json" }, JSON.stringify(error));
}

/** The whole request body. */
export async function readBody(req: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of req) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/**
 * Sends the body of `answer` after its headers, at the reader's pace, and ends as `answer.stop` says.
 * Resolves when all is written or the reader has gone; a stalled one stays open.
 *
 * @param onBytes - Called with the size of each piece as it is written.
 */
export async function sendBody(res: ServerResponse, answer: Answer, onBytes: (bytes: number) => void): Promise<void> {
  const body = answer.body.subarray(0, answer.stop?.afterBytes);
  const rate = answer.bytesPerSecond;
  const step = rate === undefined ? pieceBytes : Math.max(1, Math.round((rate * slowPieceMs) / 1000));
  res.flushHeaders();
  for (let at = 0; at < body.length && !res.destroyed; at += step) {
    const piece = body.subarray(at, at + step);
    if (rate !== undefined) await sleep((piece.length / rate) * 1000, undefined, { ref: false });
    onBytes(piece.length);
    if (!res.write(piece)) await drainedOrClosed(res);
  }
  if (answer.stop === undefined) res.end();
  else if (answer.stop.how !== "stall") breakOff(res, answer.stop.how);
}

// Only what has left this process is sure to arrive before the end does.
function breakOff(res: ServerResponse, how: "reset" | "fin"): void {
  const { socket } = res;
  socket?.write("", () => (how === "reset" ? socket.resetAndDestroy() : socket.destroy()));
}

function drainedOrClosed(res: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => {
    res.off("drain", done).off("close", done);
    resolve();
  };
  res.on("drain", done).on("close", done);
  return promise;
}
