import { defaultDirectories } from "../default-directories.ts";
import { switchedOn } from "../option.ts";
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
  json: { flag: "json", value: "", switch: true, help: "The same as --format json.", parse: switchedOn },
} as const;

/** Which images; `what` is done to them. */
function images<H extends string>(help: H) {
  return {
    flag: "image",
    value: "IMAGE",
    positional: true,
    repeatable: true,
    required: true,
    help,
    parse: nonEmpty,
  } as const;
}

/** Options of `ndn-registry cache rm`. */
export const cacheRemoveOptions = {
  image: images("Images to forget, by name or digest, whole or in part; or single blobs, by digest."),
  cacheDir,
} as const;

/** Options of `ndn-registry cache add`. */
export const cacheAddOptions = {
  image: images("Images to fetch, named as they are pulled."),
  platform: {
    flag: "platform",
    value: "OS/ARCH",
    repeatable: true,
    help: "Platforms to fetch of an image that has several, such as linux/arm64 or linux/arm/v7; all. By default this machine's.",
    parse: nonEmpty,
  },
  cacheDir,
} as const;

/** Options of `ndn-registry cache pin` and `cache unpin`. */
export const cachePinOptions = {
  image: images("Images of the cache, by name or digest, whole or in part."),
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
