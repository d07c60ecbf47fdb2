/** Writing a body to a puller at the puller's own pace. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";

/** The puller closed the connection before its answer was complete. */
export class PullerGone extends Error {
  override readonly name = "PullerGone";
}

/** A signal that fires when the puller goes away. */
export function signalOf(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort(new PullerGone("the puller closed the connection"));
  });
  if (response.destroyed) gone.abort(new PullerGone("the puller closed the connection"));
  return gone.signal;
}

/**
 * Write the chunks and end the response; resolves when all of it is handed to the network.
 * Leaves the loop, and so ends the read, when the puller goes away.
 *
 * @param wrote - Called for each chunk when it has been written.
 */
export async function writeAll<T>(
  response: ServerResponse,
  chunks: AsyncIterable<T>,
  bytesOf: (chunk: T) => Uint8Array,
  wrote: (chunk: T) => void,
  signal: AbortSignal,
): Promise<void> {
  for await (const chunk of chunks) {
    await writeChunk(response, bytesOf(chunk), signal);
    wrote(chunk);
  }
  await endBody(response, signal);
}

/** Resolves when the bytes are with the kernel: only then may their buffer be used for the next ones. */
export async function writeChunk(response: ServerResponse, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  response.write(bytes, (err) => {
    signal.removeEventListener("abort", onAbort);
    // It may come before the connection's own end is seen.
    if (err) reject(new PullerGone(`writing to the puller failed: ${err.message}`, { cause: err }));
    else resolve();
  });
  await promise;
}

/** Resolves when the whole response is with the kernel. */
export async function endBody(response: ServerResponse, signal: AbortSignal): Promise<void> {
  const finished = once(response, "finish", { signal });
  response.end();
  await finished;
}
