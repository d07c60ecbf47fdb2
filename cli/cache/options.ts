import { parseSha256 } from "#oci/digest.ts";
import { defaultDirectories } from "../default-directories.ts";
import { nonEmpty, oneOf } from "../parsers.ts";
import { parseSize } from "../sizes.ts";

/** Where blobs are cached; of the client as well. */
export const cacheDir = {
  flag: "cache-dir",
  value: "DIR",
  help: "Directory of the blobs that the client holds.",
  fallback: defaultDirectories.cache,
  parse: nonEmpty,
} as const;

/** Options of `ndn-registry cache ls`. */
export const cacheListOptions = {
  cacheDir,
  format: {
    flag: "format",
    value: "table|json",
    help: "Form of the list: a table for people, or JSON.",
    fallback: "table",
    parse: oneOf("table", "json"),
  },
} as const;

/** Options of `ndn-registry cache rm`. */
export const cacheRemoveOptions = {
  digest: {
    flag: "digest",
    value: "DIGEST",
    positional: true,
    repeatable: true,
    required: true,
    help: "Blobs to forget, each as sha256: and 64 hexadecimal digits.",
    parse: sha256,
  },
  cacheDir,
} as const;

/** Options of `ndn-registry cache verify`. */
export const cacheVerifyOptions = { cacheDir } as const;

/** Options of `ndn-registry cache prune`. */
export const cachePruneOptions = {
  cacheDir,
  to: {
    flag: "to",
    value: "SIZE",
    help: "What may stay in all, least recently used goes first: bytes, or with KiB, MiB, GiB, TiB, kB, MB, GB, TB.",
    required: true,
    parse: parseSize,
  },
} as const;

function sha256(text: string) {
  const digest = parseSha256(text);
  if (digest === undefined) throw new Error(`${JSON.stringify(text)} is not sha256: and 64 hexadecimal digits`);
  return digest;
}
