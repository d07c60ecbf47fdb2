/**
 * Blob ↔ name: the part of the wire contract that says how a blob is called on NDN (PROTOCOL.md § Names).
 */

import { SegmentDataEncoder } from "#ndn/packet/data.ts";
import {
  componentsOf,
  formatName,
  generic,
  joinName,
  keyword,
  type Name,
  numberOf,
  segment,
  startsWith,
  version,
} from "#ndn/packet/name.ts";
import { encodeNni, type TlvSpan, TT } from "#ndn/packet/tlv.ts";
import { type Digest, digestOfHash, hashOf } from "#oci/digest.ts";
import { isRepository } from "#oci/reference.ts";

/** The two sizes of segment that every server serves; metadata proposes one of them. */
export const segmentSizes = [8192, 1200] as const;
export type SegmentSize = (typeof segmentSizes)[number];
/** Segments of the plain form always have this size. */
export const plainSegmentBytes: SegmentSize = 8192;

/** Freshness of segments: a day for the canonical form, a minute for the plain form, whose name says less. */
const objectFreshnessMs = 86_400_000;
const plainFreshnessMs = 60_000;

const metadataKeyword = keyword("metadata");
const digestsKeyword = keyword("digests");
/** Data stays below this in all, so that a link header still fits into 8800 bytes. */
const maxDataBytes = 8760;

/** Segments whose digests are in the first list, so that the first bytes do not wait for many; and in each other one. */
const firstListSegments = 16;
const listSegments = 240;

/** What a name under the prefix asks for. */
export type BlobRequest =
  | {
      readonly kind: "metadata";
      readonly digest: Digest;
      readonly repository: string;
      /** Whether an answer made for this Interest alone is asked for: the name ends in a ParametersSha256Digest. */
      readonly isUnique: boolean;
    }
  | {
      readonly kind: "digests";
      readonly digest: Digest;
      readonly size: SegmentSize;
      /** Number of the list. */
      readonly number: number;
      readonly isUnique: boolean;
    }
  | {
      readonly kind: "segment";
      readonly digest: Digest;
      readonly size: SegmentSize;
      readonly number: number;
      readonly object: Name;
    }
  | {
      readonly kind: "plain";
      readonly digest: Digest;
      readonly repository: string;
      readonly number: number;
      readonly object: Name;
    };

/** Number of the last segment of a blob. */
export function lastSegmentOf(sizeBytes: number, segmentBytes: number): number {
  return Math.max(0, Math.ceil(sizeBytes / segmentBytes) - 1);
}

/** `P/<repository>`: where a repository's metadata and plain names are, and what a ForwardingHint says. */
export function repositoryName(prefix: Name, repository: string): Name {
  return joinName(prefix, ...repository.split("/").map(generic));
}

/** `P/D/54=<size>`: what the segments of a blob are called, whatever repository it is in. */
export function objectName(prefix: Name, digest: Digest, size: SegmentSize): Name {
  return joinName(prefix, generic(hashOf(digest)), version(size));
}

/** `P/<repository>/D`: the plain form. */
export function plainName(prefix: Name, repository: string, digest: Digest): Name {
  return joinName(repositoryName(prefix, repository), generic(hashOf(digest)));
}

/** `P/<repository>/D/32=metadata`. */
export function metadataName(prefix: Name, repository: string, digest: Digest): Name {
  return joinName(plainName(prefix, repository, digest), metadataKeyword);
}

/** `P/D/54=<size>/32=digests/50=<i>`: list `i` of the digests of an object's segments. */
export function digestListName(object: Name, i: number): Name {
  return joinName(object, digestsKeyword, segment(i));
}

/** Number of the list that has the digest of segment `n`. */
export function digestListOf(n: number): number {
  return n < firstListSegments ? 0 : 1 + Math.floor((n - firstListSegments) / listSegments);
}

/** Segments `[start, end)` whose digests are in list `i`. */
export function digestListRange(i: number, lastSegment: number): { start: number; end: number } {
  const start = i === 0 ? 0 : firstListSegments + (i - 1) * listSegments;
  const end = firstListSegments + i * listSegments;
  return { start, end: Math.min(end, lastSegment + 1) };
}

/** Encoder of a blob's canonical segments: the same bytes from every server and peer. */
export function objectEncoder(object: Name, sizeBytes: number, size: SegmentSize): SegmentDataEncoder {
  return new SegmentDataEncoder(object, lastSegmentOf(sizeBytes, size), objectFreshnessMs);
}

/** Encoder of a blob's plain segments. */
export function plainEncoder(plain: Name, sizeBytes: number): SegmentDataEncoder {
  return new SegmentDataEncoder(plain, lastSegmentOf(sizeBytes, plainSegmentBytes), plainFreshnessMs);
}

/** Whether a full segment of this encoder fits into a packet: very long repository names have no plain form. */
export function fitsPacket(encoder: SegmentDataEncoder): boolean {
  return encoder.sizeof(0xffffffff, segmentSizes[0]) <= maxDataBytes;
}

/** @throws Error when full segments under this prefix would not fit into a packet. */
export function checkPrefixLength(prefix: Name): void {
  const object = objectName(prefix, digestOfHash(Buffer.alloc(32)), segmentSizes[0]);
  const encoder = new SegmentDataEncoder(object, 0xffffffff, objectFreshnessMs);
  const excess = encoder.sizeof(0xffffffff, segmentSizes[0]) - maxDataBytes;
  if (excess <= 0) return;
  throw new Error(
    `name prefix ${formatName(prefix)} is ${excess} bytes too long: segments would exceed ${maxDataBytes} bytes`,
  );
}

/**
 * Read a name from its end (an implicit digest is already dropped): what is asked, of which blob, in which repository.
 * Undefined for everything that is not exactly one of the forms: the answer to it is silence.
 */
export function parseBlobName(prefix: Name, name: Name): BlobRequest | undefined {
  if (!startsWith(name, prefix)) return undefined;
  const components = componentsOf(name)?.filter((span) => span.at >= prefix.length);
  const isUnique = components?.at(-1)?.type === TT.ParametersSha256DigestComponent;
  if (isUnique) components!.pop();
  const last = components?.at(-1);
  if (components === undefined || last === undefined) return undefined;
  if (last.type === TT.KeywordNameComponent) return parseMetadata(name, components, isUnique);
  if (last.type !== TT.SegmentNameComponent) return undefined;
  const number = shortestNumberOf(name, last);
  const before = components.at(-2);
  if (number < 0 || before === undefined) return undefined;
  if (sameBytes(name, before, digestsKeyword)) return parseDigests(name, components, number, isUnique);
  if (isUnique) return undefined;
  const object = name.subarray(0, last.at);
  if (before.type === TT.VersionNameComponent) return parseSegment(name, components, number, object);
  return parsePlain(name, components, number, object);
}

function parseMetadata(name: Name, components: readonly TlvSpan[], isUnique: boolean): BlobRequest | undefined {
  if (!sameBytes(name, components.at(-1)!, metadataKeyword)) return undefined;
  const place = parsePlace(name, components.slice(0, -1));
  return place?.repository ? { kind: "metadata", ...place, repository: place.repository, isUnique } : undefined;
}

function parseDigests(
  name: Name,
  components: readonly TlvSpan[],
  number: number,
  isUnique: boolean,
): BlobRequest | undefined {
  if (components.at(-3)?.type !== TT.VersionNameComponent) return undefined;
  const object = parseSegment(name, components.slice(0, -1), 0, name);
  if (object?.kind !== "segment") return undefined;
  return { kind: "digests", digest: object.digest, size: object.size, number, isUnique };
}

function parseSegment(
  name: Name,
  components: readonly TlvSpan[],
  number: number,
  object: Name,
): BlobRequest | undefined {
  const size = segmentSizes.find((allowed) => allowed === shortestNumberOf(name, components.at(-2)!));
  const place = parsePlace(name, components.slice(0, -2));
  if (size === undefined || place?.repository !== "") return undefined;
  return { kind: "segment", digest: place.digest, size, number, object };
}

function parsePlain(name: Name, components: readonly TlvSpan[], number: number, object: Name): BlobRequest | undefined {
  const place = parsePlace(name, components.slice(0, -1));
  return place?.repository ? { kind: "plain", ...place, repository: place.repository, number, object } : undefined;
}

/** `<repository>/D`; an empty repository is allowed here and judged by the caller. */
function parsePlace(name: Name, components: readonly TlvSpan[]): { digest: Digest; repository: string } | undefined {
  const last = components.at(-1);
  if (last === undefined || components.some((span) => span.type !== TT.GenericNameComponent)) return undefined;
  if (last.end - last.start !== 32) return undefined;
  const elements = components.slice(0, -1).map((span) => name.toString("utf8", span.start, span.end));
  const repository = elements.join("/");
  if (elements.some((element) => element.includes("/")) || (repository !== "" && !isRepository(repository)))
    return undefined;
  return { digest: digestOfHash(name.subarray(last.start, last.end)), repository };
}

/** The repository in a ForwardingHint `P/<repository>`; undefined when it is none. */
export function repositoryOfHint(prefix: Name, hint: Name): string | undefined {
  if (!startsWith(hint, prefix)) return undefined;
  const components = componentsOf(hint)?.filter((span) => span.at >= prefix.length);
  if (components?.some((span) => span.type !== TT.GenericNameComponent)) return undefined;
  const elements = components?.map((span) => hint.toString("utf8", span.start, span.end)) ?? [];
  const repository = elements.join("/");
  return elements.some((element) => element.includes("/")) || !isRepository(repository) ? undefined : repository;
}

/** Numbers are written in their shortest form: any other is a name that nobody publishes. */
function shortestNumberOf(name: Name, span: TlvSpan): number {
  const number = numberOf(name, span);
  return number <= 0xffffffff && encodeNni(Math.max(0, number)).length === span.end - span.start ? number : -1;
}

function sameBytes(name: Name, span: TlvSpan, other: Name): boolean {
  return Buffer.compare(name.subarray(span.at, span.end), other) === 0;
}
