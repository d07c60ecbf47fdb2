/** Small answers that are made here, written to the bare response. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { reasonOf } from "#base/error-text.ts";
import { RegistryError } from "#oci/errors.ts";
import { apiVersion } from "./blob-headers.ts";
import { endToEnd } from "./hop-by-hop.ts";

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
