/**
 * Names as bytes. A `Name` here is the TLV-VALUE of a Name element: its components one after another.
 * Comparing, cutting and joining names is then comparing, cutting and joining bytes.
 */
import { AltUri } from "@ndn/naming-convention2";
import { Name as NdnName } from "@ndn/packet";
import { encodeNni, readElements, readNni, type TlvSpan, TT, tlv } from "./tlv.ts";

/** The components of an NDN name, encoded back to back (the value of TLV 0x07). */
export type Name = Buffer & { readonly __name?: never };

/** Parse the URI form, e.g. `/example/registry` (NDN packet specification § Name). @throws Error on bad syntax. */
export function parseName(uri: string): Name {
  if (!/^(ndn:)?\/[^\s]*$/.test(uri) || /\/\/|[?#]/.test(uri)) {
    throw new Error(`not an NDN name in URI form: ${JSON.stringify(uri)} (example: /example/registry)`);
  }
  return Buffer.from(NdnName.from(uri).value);
}

/** The URI form, with marker components in the alternate form of the naming conventions, e.g. `/A/seg=5`. */
export function formatName(name: Uint8Array): string {
  return AltUri.ofName(new NdnName(name));
}

/** As operators write a prefix: without the type of generic components, `/example/registry`. */
export function readableName(name: Uint8Array): string {
  return formatName(name).replaceAll("/8=", "/");
}

/** Join components and names. */
export function joinName(...parts: readonly Uint8Array[]): Name {
  return Buffer.concat(parts);
}

/** The name of one packet alone: it ends in the sha256 over all of it, the implicit digest (NDN packet specification). */
export function fullName(name: Uint8Array, sha256: Uint8Array): Name {
  return joinName(name, tlv(TT.ImplicitSha256DigestComponent, sha256));
}

/** GenericNameComponent of a text (UTF-8) or of bytes. */
export function generic(value: string | Uint8Array): Name {
  return tlv(TT.GenericNameComponent, typeof value === "string" ? Buffer.from(value) : value);
}

/** KeywordNameComponent, `32=metadata` for example. */
export function keyword(text: string): Name {
  return tlv(TT.KeywordNameComponent, Buffer.from(text));
}

/** SegmentNameComponent `50=n` (naming conventions rev 3). */
export function segment(n: number): Name {
  return tlv(TT.SegmentNameComponent, encodeNni(n));
}

/** VersionNameComponent `54=n` (naming conventions rev 3). */
export function version(n: number): Name {
  return tlv(TT.VersionNameComponent, encodeNni(n));
}

/** Where each component lies; undefined when the bytes are not a sequence of components. */
export function componentsOf(name: Uint8Array): TlvSpan[] | undefined {
  const spans = readElements(name);
  if (spans === undefined) return undefined;
  for (const { type } of spans) if (type === 0 || type > 0xffff) return undefined;
  return spans;
}

/** The number in a segment or version component; -1 when it is not a NonNegativeInteger. */
export function numberOf(name: Uint8Array, span: TlvSpan): number {
  return readNni(name, span.start, span.end);
}

/** `name` without the digest that a full name ends in; undefined when it is malformed or empty. */
export function withoutImplicitDigest(name: Name): Name | undefined {
  const last = componentsOf(name)?.at(-1);
  if (last === undefined) return undefined;
  return last.type === TT.ImplicitSha256DigestComponent ? name.subarray(0, last.at) : name;
}

/** Whether `name` is `prefix` or begins with it. Both are whole components, so bytes decide. */
export function startsWith(name: Uint8Array, prefix: Uint8Array): boolean {
  return name.length >= prefix.length && Buffer.compare(name.subarray(0, prefix.length), prefix) === 0;
}

/** A key for maps that holds exactly the bytes `buf[start, end)`. */
export function nameKey(buf: Buffer, start = 0, end = buf.length): string {
  return buf.toString("latin1", start, end);
}
