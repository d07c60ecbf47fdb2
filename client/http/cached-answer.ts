/**
 * GET and HEAD of a blob that is cached: everything that can be said without the upstream.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { CachedBlob } from "#store/store-port.ts";
import { blobHeaders, etagOf, sendParts, sendUnsatisfiable, sendVerdict, writeChunk } from "./answers.ts";
import { judgeConditions, type Part, partsOf, wantedBy } from "./semantics.ts";

/** What else an answer needs. */
export interface CachedAnswerOptions {
  /** Fires when the puller goes away. */
  readonly signal: AbortSignal;
  /** Called with the size of each piece of payload that has been written. */
  readonly wrote?: (sizeBytes: number) => void;
}

/**
 * Answer as docker-registry does, where RFC 9110 allows that: conditions first, then ranges. Dates cannot be judged,
 * since blobs have none, and are ignored. The blob stays open; the caller closes it.
 *
 * @throws Error when the file cannot be read, or the signal's reason; the response is then to be broken off.
 */
export async function answerCached(
  { method, headers }: Pick<IncomingMessage, "method" | "headers">,
  response: ServerResponse,
  cached: CachedBlob,
  { signal, wrote = () => {} }: CachedAnswerOptions,
): Promise<void> {
  const { digest, sizeBytes } = cached;
  const blob = { digest, sizeBytes, source: "store" } as const;
  const verdict = judgeConditions(headers, etagOf(digest));
  if (verdict) return sendVerdict(response, verdict, blob);
  // RFC 9110 § 14.2: a range means something to GET only.
  if (method !== "GET") return void response.writeHead(200, blobHeaders(blob)).end();
  const parts = partsOf(wantedBy(headers, etagOf(digest)), sizeBytes);
  if (parts?.length === 0) return sendUnsatisfiable(response, blob);
  const send = async (part: Part) => {
    for await (const bytes of cached.read(part.start, part.end)) {
      await writeChunk(response, bytes, signal);
      wrote(bytes.length);
    }
  };
  await sendParts(response, blob, parts, send, signal);
}
