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
  segment,
  startsWith,
  version,
} from "#ndn/packet/name.ts";
import { encodeNni, readNni, type TlvSpan, TT } from "#ndn/packet/tlv.ts";
import { type Digest, digestOfHash, hashOf, isRepository } from "#oci/reference.ts";

/** The two sizes of segment that every server serves; metadata proposes one of them. */
export const segmentSizes = [8192, 1200] as const;
export type SegmentSize = (typeof segmentSizes)[number];
/** Segments of the plain form always have this size. */
export const plainSegmentBytes: SegmentSize = 8192;
/** Fits a datagram. */
export const smallSegmentBytes: SegmentSize = 1200;

/** Freshness of segments: a day for the canonical form, a minute for the plain form, whose name says less. */
const objectFreshnessMs = 86_400_000;
const plainFreshnessMs = 60_000;

const metadataKeyword = keyword("metadata");
const digestsKeyword = keyword("digests");
/** Data stays below this in all, so that a link header still fits into 8800 bytes. */
export const maxDataBytes = 8760;

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
  const components = componentsUnder(prefix, name);
  const isUnique = components?.at(-1)?.type === TT.ParametersSha256DigestComponent;
  if (isUnique) components!.pop();
  const last = components?.pop();
  if (components === undefined || last === undefined) return undefined;
  if (last.type === TT.KeywordNameComponent) {
    const blob = isBytes(name, last, metadataKeyword) ? parsePlain(name, components) : undefined;
    return blob && { kind: "metadata", ...blob, isUnique };
  }
  const number = last.type === TT.SegmentNameComponent ? shortestNumberOf(name, last) : -1;
  if (number < 0) return undefined;
  const isList = isBytes(name, components.at(-1), digestsKeyword);
  if (isList) components.pop();
  else if (isUnique) return undefined;
  const object = name.subarray(0, last.at);
  if (components.at(-1)?.type === TT.VersionNameComponent) {
    const sized = parseSized(name, components);
    if (isList) return sized && { kind: "digests", ...sized, number, isUnique };
    return sized && { kind: "segment", ...sized, number, object };
  }
  const blob = isList ? undefined : parsePlain(name, components);
  return blob && { kind: "plain", ...blob, number, object };
}

/** The repository in a ForwardingHint `P/<repository>`; undefined when it is none. */
export function repositoryOfHint(prefix: Name, hint: Name): string | undefined {
  const components = componentsUnder(prefix, hint);
  return components && repositoryOf(hint, components);
}

/** The components of `name` after `prefix`; undefined when it does not begin with it. */
export function componentsUnder(prefix: Name, name: Name): TlvSpan[] | undefined {
  if (!startsWith(name, prefix)) return undefined;
  const components = componentsOf(name);
  while (components?.[0] && components[0].at < prefix.length) components.shift();
  return components;
}

/** `D/54=<size>`, without a repository. */
function parseSized(name: Name, components: TlvSpan[]): { digest: Digest; size: SegmentSize } | undefined {
  const size = shortestNumberOf(name, components.at(-1)!) as SegmentSize;
  const digest = components.length === 2 ? digestOf(name, components[0]!) : undefined;
  return digest !== undefined && segmentSizes.includes(size) ? { digest, size } : undefined;
}

/** `<repository>/D`. */
function parsePlain(name: Name, components: TlvSpan[]): { digest: Digest; repository: string } | undefined {
  const last = components.pop();
  const digest = last && digestOf(name, last);
  const repository = repositoryOf(name, components);
  return digest === undefined || repository === undefined ? undefined : { digest, repository };
}

/** The digest that a component is; undefined when it is none. */
export function digestOf(name: Name, { type, start, end }: TlvSpan): Digest | undefined {
  if (type !== TT.GenericNameComponent || end - start !== 32) return undefined;
  return digestOfHash(name.subarray(start, end));
}

/** The repository that components are, one for each path element; undefined when they are none. */
export function repositoryOf(name: Name, components: readonly TlvSpan[]): string | undefined {
  const elements: string[] = [];
  for (const { type, start, end } of components) {
    const element = name.toString("utf8", start, end);
    if (type !== TT.GenericNameComponent || element.includes("/")) return undefined;
    elements.push(element);
  }
  const repository = elements.join("/");
  return isRepository(repository) ? repository : undefined;
}

/** Numbers are written in their shortest form: any other is a name that no server publishes. */
function shortestNumberOf(name: Name, span: TlvSpan): number {
  const number = readNni(name, span.start, span.end);
  return number <= 0xffffffff && encodeNni(Math.max(0, number)).length === span.end - span.start ? number : -1;
}

function isBytes(name: Name, span: TlvSpan | undefined, component: Name): boolean {
  return span !== undefined && Buffer.compare(name.subarray(span.at, span.end), component) === 0;
}
