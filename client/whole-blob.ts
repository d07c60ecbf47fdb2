/**
 * All of a blob, from whoever serves it: NDN first, then the upstream from the byte where NDN stopped.
 */
import type { ReadEvents } from "#blob/fallback.ts";
import { type BlobSource, fromStart } from "#blob/source.ts";
import { upstreamSource } from "#blob/upstream-source.ts";
import { openVerified } from "#blob/verify.ts";
import type { Digest } from "#oci/digest.ts";
import type { RangeRequest } from "#oci/range.ts";
import { authorizedSource } from "./authorized-source.ts";
import { blobHeaders } from "./blob-headers.ts";
import { isWhole } from "./blob-range.ts";
import type { BlobRequest, BlobServices } from "./blob-request.ts";
import { writeAll } from "./response-body.ts";

/**
 * Serve the whole blob; false, with nothing sent, when `range` turns out not to be all of it.
 *
 * @throws The errors of `openVerified`, also after bytes have been sent.
 */
export async function serveWhole(
  services: BlobServices,
  { request, response, repository, signal: gone, record }: BlobRequest,
  digest: Digest,
  range: RangeRequest | undefined,
): Promise<boolean> {
  const enough = new AbortController();
  const signal = AbortSignal.any([gone, enough.signal]);
  const ndn = trustedNdn(services, digest);
  const upstream = upstreamSource({
    registry: services.registry,
    authorization: request.headers.authorization,
    stallTimeoutMs: services.stallTimeoutMs,
  });
  const blob = { repository, digest };
  const ask = () => services.authorization.ask(request.headers.authorization, blob);
  const permitted = ndn && (services.authorize === "upstream" ? authorizedSource(ndn, ask) : ndn);
  // Twice: a registry that has broken off and knows no ranges is asked once more, from the start and with proof.
  const sources = [...(permitted ? [permitted] : []), upstream, upstream];

  const events: ReadEvents = {
    unavailable: (source, offset, err) => record.failed(source, `byte ${offset}: ${err.message}`),
    corrupt: (source, err) => {
      record.failed(source, err.message);
      if (ndn) services.distrust.add(digest);
    },
  };
  try {
    const read = await openVerified(sources, blob, signal, events);
    if (range && !isWhole(range, read.sizeBytes)) return false;
    response.writeHead(range ? 206 : 200, blobHeaders(digest, read.sizeBytes, read.source, range !== undefined));
    await writeAll(
      response,
      read.chunks,
      ({ bytes }) => bytes,
      ({ source, bytes }) => record.wrote(source, bytes.length),
      signal,
    );
    return true;
  } finally {
    enough.abort();
  }
}

/**
 * Answer a HEAD from NDN alone, when the upstream cannot be reached.
 *
 * @throws BlobUnavailable, BlobCorrupt
 */
export async function headFromNdn(ndn: BlobSource, blob: Omit<BlobRequest, "record">, digest: Digest): Promise<void> {
  const enough = new AbortController();
  try {
    const signal = AbortSignal.any([blob.signal, enough.signal]);
    const { sizeBytes } = await ndn.open({ repository: blob.repository, digest }, fromStart, signal);
    blob.response.writeHead(200, blobHeaders(digest, sizeBytes, ndn.name, false)).end();
  } finally {
    enough.abort();
  }
}

/** NDN, unless it is down or has sent wrong bytes for this digest. */
export function trustedNdn({ ndn, distrust }: BlobServices, digest: Digest): BlobSource | undefined {
  return distrust.has(digest) ? undefined : ndn?.source();
}
