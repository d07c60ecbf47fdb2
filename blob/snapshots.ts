/**
 * What snapshots contain (PROTOCOL.md § Snapshots): JSON in UTF-8, an object of its own under its digest. That of
 * referrers is an OCI image index; the other two have media types of this project.
 */
import { z } from "zod";
import { type Digest, isRepository, isTag, parseSha256 } from "#oci/reference.ts";

/** Media types of snapshots. */
export const snapshotTypes = {
  tags: "application/vnd.ndn-registry.tags.v1+json",
  referrers: "application/vnd.oci.image.index.v1+json",
  catalog: "application/vnd.ndn-registry.catalog.v1+json",
} as const;

/** A tag, and what it meant when the server knew that last. */
export interface ListedTag {
  readonly name: string;
  readonly digest?: Digest | undefined;
  /** When the registry said so, in milliseconds since 1970; there with a digest. */
  readonly asOf?: number | undefined;
}

const listedTag = z
  .object({ name: z.string().refine(isTag), digest: z.string().optional(), asOf: z.int().nonnegative().optional() })
  .transform(({ name, digest, asOf }): ListedTag => {
    const sha256 = digest === undefined ? undefined : parseSha256(digest);
    return sha256 === undefined || asOf === undefined ? { name } : { name, digest: sha256, asOf };
  });
const tagList = z.object({ name: z.string(), tags: z.array(listedTag).refine((tags) => isSorted(tags, nameOf)) });
const catalog = z.object({
  repositories: z.array(z.string().refine(isRepository)).refine((all) => isSorted(all, (one) => one)),
});

/** The snapshot of a repository's tags. @param tags - in any order, each name once */
export function encodeTagList(repository: string, tags: readonly ListedTag[]): Buffer {
  const sorted = [...tags].sort((a, b) => compare(a.name, b.name));
  return Buffer.from(JSON.stringify({ name: repository, tags: sorted }));
}

/** The tags in a snapshot, sorted by the bytes of their names; undefined when it is none of this repository. */
export function decodeTagList(repository: string, bytes: Uint8Array): ListedTag[] | undefined {
  const { data } = tagList.safeParse(parseJson(bytes));
  return data?.name === repository ? data.tags : undefined;
}

/** The snapshot of the repositories. @param repositories - in any order, each once */
export function encodeCatalog(repositories: Iterable<string>): Buffer {
  return Buffer.from(JSON.stringify({ repositories: [...repositories].sort(compare) }));
}

/** The repositories in a snapshot, sorted by their bytes; undefined when it is none. */
export function decodeCatalog(bytes: Uint8Array): string[] | undefined {
  return catalog.safeParse(parseJson(bytes)).data?.repositories;
}

/** The snapshot of what refers to a manifest. @param descriptors - as the registry has them */
export function encodeReferrers(descriptors: readonly object[]): Buffer {
  const index = { schemaVersion: 2, mediaType: snapshotTypes.referrers, manifests: descriptors };
  return Buffer.from(JSON.stringify(index));
}

function nameOf({ name }: ListedTag): string {
  return name;
}

function isSorted<T>(all: readonly T[], key: (one: T) => string): boolean {
  return all.every((one, i) => i === 0 || compare(key(all[i - 1]!), key(one)) < 0);
}

/** By code units, which are the bytes: tags and repositories are ASCII. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  } catch {
    return undefined;
  }
}
