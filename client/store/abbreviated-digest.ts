import type { Digest } from "#oci/digest.ts";

/**
 * The blobs that a person means by the beginning of a digest, with or without `sha256:`; as people copy them from the
 * output of `docker`. None when it has fewer than four characters: that is a slip, not a name.
 */
export function digestsMatching(cached: Iterable<{ readonly digest: Digest }>, text: string): Digest[] {
  const start = /^(?:sha256:)?([a-f0-9]{4,64})$/.exec(text.toLowerCase())?.[1];
  if (start === undefined) return [];
  return Array.from(cached, ({ digest }) => digest).filter((digest) => digest.startsWith(`sha256:${start}`));
}
