/**
 * GET and HEAD of a blob that is cached: everything that can be said without the upstream.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { errorJson } from "#oci/errors.ts";
import { formatContentRange } from "#oci/range.ts";
import type { CachedBlob } from "#store/store-port.ts";
import { apiVersion, blobHeaders, provenance, writeAll } from "./answers.ts";
import { judgeConditions, judgeRange } from "./semantics.ts";

/** What else an answer needs. */
export interface CachedAnswerOptions {
  /** Fires when the puller goes away. */
  readonly signal: AbortSignal;
  /** Called with the size of each piece of payload that has been written. */
  readonly wrote?: (sizeBytes: number) => void;
}

/**
 * Answer as docker-registry does, where RFC 9110 allows that: conditions first, then the range. Dates cannot be judged,
 * since blobs have none, and are ignored. The blob stays open; the caller closes it.
 *
 * @returns False, with nothing sent, when several ranges are wanted: those are the upstream's to answer.
 * @throws Error when the file cannot be read, or the signal's reason; the response is then to be broken off.
 */
export async function answerCached(
  { method, headers }: Pick<IncomingMessage, "method" | "headers">,
  response: ServerResponse,
  cached: CachedBlob,
  { signal, wrote = () => {} }: CachedAnswerOptions,
): Promise<boolean> {
  const { digest, sizeBytes } = cached;
  const etag = `"${digest}"`;
  const verdict = judgeConditions(headers, etag);
  if (verdict === 304) return sendEmpty(response, 304, described(cached));
  if (verdict === 412) return sendEmpty(response, 412, { ...described(cached), "content-length": 0 });
  // RFC 9110 § 14.2: a range means something to GET only.
  const wanted = method === "GET" ? judgeRange(headers, etag, sizeBytes) : ({ kind: "whole" } as const);
  if (wanted.kind === "several") return false;
  if (wanted.kind === "unsatisfiable") return sendUnsatisfiable(response, cached);
  const { start, end } = wanted.kind === "part" ? wanted : { start: 0, end: sizeBytes };
  const all = blobHeaders(digest, sizeBytes, "store", false);
  if (wanted.kind === "whole") response.writeHead(200, all);
  else {
    const contentRange = formatContentRange(wanted, sizeBytes);
    response.writeHead(206, { ...all, "content-length": end - start, "content-range": contentRange });
  }
  if (method !== "GET") return sendNothing(response);
  await writeAll(
    response,
    cached.read(start, end),
    (bytes) => bytes,
    ({ length }) => wrote(length),
    signal,
  );
  return true;
}

/** What is true of the blob whatever is sent of it. */
function described({ digest }: CachedBlob): OutgoingHttpHeaders {
  return { ...apiVersion, "docker-content-digest": digest, etag: `"${digest}"`, ...provenance("store") };
}

function sendEmpty(response: ServerResponse, status: number, headers: OutgoingHttpHeaders): true {
  response.writeHead(status, headers);
  return sendNothing(response);
}

function sendNothing(response: ServerResponse): true {
  response.end();
  return true;
}

function sendUnsatisfiable(response: ServerResponse, cached: CachedBlob): true {
  const body = errorJson("RANGE_INVALID", `the blob has ${cached.sizeBytes} bytes`);
  response.writeHead(416, {
    ...described(cached),
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "content-range": `bytes */${cached.sizeBytes}`,
  });
  response.end(body);
  return true;
}
