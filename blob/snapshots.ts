/**
 * What snapshots contain (PROTOCOL.md § Snapshots): JSON in UTF-8, an object of its own under its digest. That of
 * referrers is an OCI image index; the other two have media types of this project. They are read without a library: the
one that the house has for that takes 19 MB of memory, and a server that is idle has no other use for it.
 */
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

/** The snapshot of a repository's tags. @param tags - in any order, each name once */
export function encodeTagList(repository: string, tags: readonly ListedTag[]): Buffer {
  const sorted = [...tags].sort((a, b) => compare(a.name, b.name));
  return Buffer.from(JSON.stringify({ name: repository, tags: sorted }));
}

/** The tags in a snapshot, sorted by the bytes of their names; undefined when it is none of this repository. */
export function decodeTagList(repository: string, bytes: Uint8Array): ListedTag[] | undefined {
  const { name, tags } = parseJson(bytes);
  if (name !== repository || !Array.isArray(tags)) return undefined;
  const listed = tags.flatMap((tag: unknown) => readTag(tag) ?? []);
  return listed.length === tags.length && isSorted(listed.map(nameOf)) ? listed : undefined;
}

function readTag(tag: unknown): ListedTag | undefined {
  const { name, digest, asOf } = asObject(tag);
  if (typeof name !== "string" || !isTag(name)) return undefined;
  const sha256 = typeof digest === "string" ? parseSha256(digest) : undefined;
  const isTime = typeof asOf === "number" && Number.isSafeInteger(asOf) && asOf >= 0;
  return sha256 && isTime ? { name, digest: sha256, asOf } : { name };
}

/** The snapshot of the repositories. @param repositories - in any order, each once */
export function encodeCatalog(repositories: Iterable<string>): Buffer {
  return Buffer.from(JSON.stringify({ repositories: [...repositories].sort(compare) }));
}

/** The repositories in a snapshot, sorted by their bytes; undefined when it is none. */
export function decodeCatalog(bytes: Uint8Array): string[] | undefined {
  const { repositories } = parseJson(bytes);
  if (!Array.isArray(repositories)) return undefined;
  const names = repositories.filter((one: unknown) => typeof one === "string" && isRepository(one)) as string[];
  return names.length === repositories.length && isSorted(names) ? names : undefined;
}

/** The snapshot of what refers to a manifest. @param descriptors - as the registry has them */
export function encodeReferrers(descriptors: readonly object[]): Buffer {
  const index = { schemaVersion: 2, mediaType: snapshotTypes.referrers, manifests: descriptors };
  return Buffer.from(JSON.stringify(index));
}

function nameOf({ name }: ListedTag): string {
  return name;
}

function isSorted(names: readonly string[]): boolean {
  return names.every((name, i) => i === 0 || compare(names[i - 1]!, name) < 0);
}

/** By code units, which are the bytes: tags and repositories are ASCII. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The members of the object that the bytes are; none when they are no object. */
function parseJson(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return asObject(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")));
  } catch {
    return {};
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
