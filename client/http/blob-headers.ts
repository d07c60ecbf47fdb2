/** Headers of blobs that are answered here. */
import type { OutgoingHttpHeaders } from "node:http";
import type { SourceName } from "#blob/source.ts";
import type { Digest } from "#oci/digest.ts";
import { formatContentRange } from "#oci/range.ts";

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
