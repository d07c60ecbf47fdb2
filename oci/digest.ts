/**
 * Content addresses: every blob and manifest is named by the hash of its bytes.
 */

/** A content address such as `sha256:9f86…`, syntax already checked (OCI image-spec, descriptor.md § Digests). */
export type Digest = string & { readonly __brand: "Digest" };

/** The sha256 digest in a URL, header or manifest; undefined for anything else, which is the registry's to answer. */
export function parseSha256(text: string): Digest | undefined {
  return /^sha256:[a-f0-9]{64}$/.test(text) ? (text as Digest) : undefined;
}

/** The digest whose hash value is these 32 bytes. */
export function digestOfHash(hash: Uint8Array): Digest {
  return `sha256:${Buffer.from(hash).toString("hex")}` as Digest;
}

/** The digest of nothing: the only one of a blob without bytes. */
export const emptyDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" as Digest;

/** The 64 hexadecimal characters after the algorithm. */
export function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}

/** The 32 bytes of the hash value. */
export function hashOf(digest: Digest): Buffer {
  return Buffer.from(digest.slice("sha256:".length), "hex");
}
