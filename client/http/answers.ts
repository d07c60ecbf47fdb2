/** Answers that are made here, and their headers. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { reasonOf } from "#base/errors.ts";
import type { SourceName } from "#blob/source.ts";
import type { Digest } from "#oci/digest.ts";
import { RegistryError } from "#oci/errors.ts";
import { formatContentRange } from "#oci/range.ts";
import { endToEnd } from "./semantics.ts";

/** On every answer under `/v2/` that is made here. */
export const apiVersion = { "docker-distribution-api-version": "registry/2.0" } as const;

/** Headers of a 200, or of a 206 that carries all of the blob. */
export function blobHeaders(
  digest: Digest,
  sizeBytes: number,
  source: SourceName,
  isPartial: boolean,
): OutgoingHttpHeaders {
  return {
    ...apiVersion,
    "content-type": "application/octet-stream",
    "content-length": sizeBytes,
    ...(isPartial && { "content-range": formatContentRange({ start: 0, end: sizeBytes }, sizeBytes) }),
    "accept-ranges": "bytes",
    "docker-content-digest": digest,
    etag: `"${digest}"`,
    ...provenance(source),
  };
}

/** Where the first byte comes from; `Cache-Status` is RFC 9211. */
export function provenance(source: SourceName, forwarded = "miss"): OutgoingHttpHeaders {
  const how = source === "upstream" ? `fwd=${forwarded}` : "hit";
  return { "x-blob-source": source, "cache-status": `ndn-registry; ${how}; detail=${source}` };
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
  { status, headers, body }: { status: number; headers: IncomingHttpHeaders; body: Buffer },
  extra: OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { ...endToEnd(headers), "content-length": body.length, ...extra }).end(body);
}

/** 503 that says what to look at. */
export function upstreamUnavailable(upstream: URL, cause: unknown): RegistryError {
  const what = `upstream registry ${upstream.origin} cannot be reached`;
  return new RegistryError("UNAVAILABLE", `${what} (${reasonOf(cause)}): check --upstream and the network`, { cause });
}
