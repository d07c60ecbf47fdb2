/**
 * The registry over HTTPS where there is none: it knows no puller and answers nothing.
 */
import { Readable } from "node:stream";
import { errorJson, RegistryUnreachable } from "#oci/errors.ts";
import { parseSha256 } from "#oci/reference.ts";
import type { RegistryClient } from "#oci/registry-client.ts";

/** The reads of blobs over HTTPS; without a base there is nothing to ask. */
export interface BlobReads extends Pick<RegistryClient, "getBlob" | "headBlob"> {
  readonly base: URL | undefined;
}

/** Blobs that are not on NDN, as they have no sha256 digest, are not there; all others may be on NDN. */
async function answer(_repository: string, digest: string) {
  if (parseSha256(digest)) throw new RegistryUnreachable("the registry is reached over NDN alone");
  const text = Buffer.from(errorJson("BLOB_UNKNOWN", "blobs are on NDN by their sha256 only"));
  const headers = { "content-type": "application/json", "content-length": String(text.length) };
  return { status: 404, headers, body: Readable.from([text]) };
}

/** In the place of a `RegistryClient`. */
export const noUpstream = {
  base: undefined,
  getBlob: answer,
  headBlob: answer,
  identityOf: () => Promise.resolve("anonymous"),
} satisfies BlobReads & { identityOf(): Promise<string> };
