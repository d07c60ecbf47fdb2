/** Answers to pullers: headers and refusals that are made here, and bodies, written at the puller's own pace. */
import { once } from "node:events";
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { findCause, reasonOf } from "#base/errors.ts";
import type { SourceName } from "#blob/source.ts";
import { formatContentRange } from "#oci/body-headers.ts";
import { errorJson, HelpFailed, type RegistryAnswer, RegistryError, RegistryUnreachable } from "#oci/errors.ts";
import { multipartOf } from "./multipart.ts";
import { endToEnd, type Part } from "./semantics.ts";

/** On every answer under `/v2/` that is made here. */
export const apiVersion = { "docker-distribution-api-version": "registry/2.0" } as const;

/** A blob, as far as the head of an answer depends on it. */
export interface AnsweredBlob {
  readonly digest: string;
  /** Of the whole blob. */
  readonly sizeBytes: number;
  /** Of the first byte. */
  readonly source: SourceName;
}

/** Its strong entity tag: a digest names exactly these bytes. */
export function etagOf(digest: string): string {
  return `"${digest}"`;
}

/** What is true of the blob whatever is sent of it. */
export function describedBlob({ digest, source }: Omit<AnsweredBlob, "sizeBytes">): OutgoingHttpHeaders {
  return { ...apiVersion, "docker-content-digest": digest, etag: etagOf(digest), ...provenance(source) };
}

/** Headers of a 200, or with `part` of a 206 that carries these bytes. */
export function blobHeaders(blob: AnsweredBlob, part?: Part): OutgoingHttpHeaders {
  const { sizeBytes } = blob;
  return {
    ...describedBlob(blob),
    "content-type": "application/octet-stream",
    "content-length": part ? part.end - part.start : sizeBytes,
    ...(part && { "content-range": formatContentRange(part, sizeBytes) }),
    "accept-ranges": "bytes",
  };
}

/** 416: no range of the request can be satisfied. */
export function sendUnsatisfiable(response: ServerResponse, blob: AnsweredBlob): void {
  const body = errorJson("RANGE_INVALID", `the blob has ${blob.sizeBytes} bytes`);
  const headers = {
    ...describedBlob(blob),
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "content-range": `bytes */${blob.sizeBytes}`,
  };
  response.writeHead(416, headers).end(body);
}

/** What the puller's conditions have come to: 304 or 412. */
export function sendVerdict(response: ServerResponse, verdict: 304 | 412, blob: Omit<AnsweredBlob, "sizeBytes">): void {
  response.writeHead(verdict, { ...describedBlob(blob), ...(verdict === 412 && { "content-length": 0 }) }).end();
}

/** Where the first byte comes from; `Cache-Status` is RFC 9211. */
export function provenance(source: SourceName, forwarded = "miss"): Record<string, string> {
  const how = source === "upstream" ? `fwd=${forwarded}` : "hit";
  return { "x-blob-source": source, "cache-status": `ndn-registry; ${how}; detail=${source}` };
}

/** Where a manifest, or a list, comes from: as for blobs, and by the header that says it of these. */
export function manifestProvenance(source: ManifestSource): Record<string, string> {
  return { "x-manifest-source": source, ...provenance(source) };
}

/** Where a manifest comes from: pulls show it beside the sources of blobs. */
export type ManifestSource = Exclude<SourceName, "peer">;

/** Of an answer that is served although no one confirms it (RFC 9111 § 5.1, § 4.2.3; RFC 7234 § 5.5). */
export function staleness(warning: string, seenMs: number): Record<string, string> {
  const ageSeconds = Math.max(0, Math.floor((Date.now() - seenMs) / 1000));
  return { warning, age: String(ageSeconds), "cache-status": "ndn-registry; hit; detail=stale" };
}

/** A refusal, as the registry's JSON; breaks the connection off when an answer has already begun. */
export function sendError(response: ServerResponse, err: RegistryError): void {
  if (response.headersSent) return void response.destroy();
  const body = JSON.stringify(err);
  const headers = { ...apiVersion, "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  response.writeHead(err.status, headers).end(body);
}

/** An answer of the upstream as it is, with a body that is already there. */
export function sendAnswer(
  response: ServerResponse,
  { status, headers, body }: RegistryAnswer,
  extra: OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { ...endToEnd(headers), "content-length": body.length, ...extra }).end(body);
}

/**
 * The answer where the upstream has none: what it said itself before our help failed, if `err` knows of that, else a 503
 * that says what to look at.
 *
 * @param upstream - Undefined where there is only NDN.
 */
export function sendUnavailable(response: ServerResponse, upstream: URL | undefined, err: unknown): void {
  const own = findCause(err, HelpFailed);
  if (own && !response.headersSent) sendAnswer(response, own.answer);
  else sendError(response, unavailable(upstream, err));
}

function unavailable(upstream: URL | undefined, cause: unknown): RegistryError {
  const reason = reasonOf(findCause(cause, RegistryUnreachable) ?? cause);
  if (!upstream) return new RegistryError("UNAVAILABLE", `no one answers over NDN (${reason})`, { cause });
  const what = `upstream registry ${upstream.origin} cannot be reached`;
  return new RegistryError("UNAVAILABLE", `${what} (${reason}): check --upstream and the network`, { cause });
}

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

/**
 * A 200 with the whole blob where `parts` is undefined, else a 206 with at least one part.
 *
 * @param send - Writes the payload of one part.
 */
export async function sendParts(
  response: ServerResponse,
  blob: AnsweredBlob,
  parts: readonly Part[] | undefined,
  send: (part: Part) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const [first, ...more] = parts ?? [];
  if (more.length > 0) await sendMultipart(response, blob, parts!, send, signal);
  else {
    response.writeHead(first ? 206 : 200, blobHeaders(blob, first));
    await send(first ?? { start: 0, end: blob.sizeBytes });
  }
  await endBody(response, signal);
}

async function sendMultipart(
  response: ServerResponse,
  blob: AnsweredBlob,
  parts: readonly Part[],
  send: (part: Part) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { contentType, contentLength, heads, tail } = multipartOf(parts, blob.sizeBytes);
  response.writeHead(206, { ...blobHeaders(blob), "content-type": contentType, "content-length": contentLength });
  for (const [i, part] of parts.entries()) {
    await writeChunk(response, heads[i]!, signal);
    await send(part);
  }
  await writeChunk(response, tail, signal);
}
