/**
 * GET and HEAD of a blob that is held: everything that can be said without the upstream.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { errorJson } from "#oci/errors.ts";
import { formatContentRange } from "#oci/range.ts";
import type { HeldBlob } from "#store/store-port.ts";
import { apiVersion, blobHeaders, provenance } from "./blob-headers.ts";
import { judgeConditions } from "./conditions.ts";
import { judgeRange } from "./held-range.ts";
import { writeAll } from "./response-body.ts";

/** What else an answer needs. */
export interface HeldAnswerOptions {
  /** Fires when the puller goes away. */
  readonly signal: AbortSignal;
  /** Called with the size of each piece of payload that has been written. */
  readonly wrote?: (sizeBytes: number) => void;
}

/**
 * Answer as docker-registry does, where RFC 9110 allows that: conditions first, then the range. Dates cannot be judged,
 * since blobs have none, and are ignored. The blob stays open; whoever opened it closes it.
 *
 * @returns False, with nothing sent, when several ranges are wanted: those are the upstream's to answer.
 * @throws Error when the file cannot be read, or the signal's reason; the response is then to be broken off.
 */
export async function answerHeld(
  { method, headers }: Pick<IncomingMessage, "method" | "headers">,
  response: ServerResponse,
  held: HeldBlob,
  { signal, wrote = () => {} }: HeldAnswerOptions,
): Promise<boolean> {
  const { digest, sizeBytes } = held;
  const etag = `"${digest}"`;
  const verdict = judgeConditions(headers, etag);
  if (verdict === 304) return sendEmpty(response, 304, described(held));
  if (verdict === 412) return sendEmpty(response, 412, { ...described(held), "content-length": 0 });
  // RFC 9110 § 14.2: a range means something to GET only.
  const wanted = method === "GET" ? judgeRange(headers, etag, sizeBytes) : ({ kind: "whole" } as const);
  if (wanted.kind === "several") return false;
  if (wanted.kind === "unsatisfiable") return sendUnsatisfiable(response, held);
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
    held.read(start, end),
    (bytes) => bytes,
    ({ length }) => wrote(length),
    signal,
  );
  return true;
}

/** What is true of the blob whatever is sent of it. */
function described({ digest }: HeldBlob): OutgoingHttpHeaders {
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

function sendUnsatisfiable(response: ServerResponse, held: HeldBlob): true {
  const body = errorJson("RANGE_INVALID", `the blob has ${held.sizeBytes} bytes`);
  response.writeHead(416, {
    ...described(held),
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "content-range": `bytes */${held.sizeBytes}`,
  });
  response.end(body);
  return true;
}
