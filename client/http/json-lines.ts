/**
 * An answer of JSON lines: how far something has come, then the outcome.
 */
import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";

/** So often a line is written at most, but for the outcome. */
const intervalMs = 200;

/** The lines of one answer. */
export interface JsonLines {
  /** Fires when no one waits for them any more. */
  readonly signal: AbortSignal;
  /** Whether anything has been sent. */
  readonly areBegun: boolean;
  /** Send the head of the answer, if it has not been sent. */
  begin(): void;
  /** Several a second at most, and fewer for a reader that is slow. */
  progress(value: object): void;
  /** The outcome. */
  end(value: object): void;
  /** Without an outcome: a clean end would look like one. */
  breakOff(): void;
}

/** The answer begins with `begin`, or its first line. @param closing - Ends it as well. */
export function streamLines(reply: FastifyReply, closing: AbortSignal): JsonLines {
  const response = reply.raw;
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  response.on("error", () => gone.abort());
  let nextMs = 0;
  const begin = () => {
    if (response.headersSent) return;
    reply.hijack();
    response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
    response.flushHeaders();
  };
  return {
    signal: AbortSignal.any([gone.signal, closing]),
    get areBegun() {
      return response.headersSent;
    },
    begin,
    progress(value) {
      const nowMs = performance.now();
      if (nowMs < nextMs) return;
      nextMs = nowMs + intervalMs;
      begin();
      writeLine(response, value);
    },
    end(value) {
      begin();
      response.end(`${JSON.stringify(value)}\n`);
    },
    breakOff() {
      response.destroy();
    },
  };
}

/** Nothing piles up here. */
function writeLine(response: ServerResponse, value: object): void {
  if (!response.writableNeedDrain) response.write(`${JSON.stringify(value)}\n`);
}
