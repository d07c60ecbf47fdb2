/**
 * What pointers are called (PROTOCOL.md § Pointers): small signed packets that say what in a registry changes, which
 * manifest a tag means for example. What they point at is an object under its digest.
 */
import { generic, joinName, keyword, type Name } from "#ndn/packet/name.ts";
import { type TlvSpan, TT } from "#ndn/packet/tlv.ts";
import { type Digest, hashOf, isTag } from "#oci/reference.ts";
import { componentsUnder, digestOf, repositoryName, repositoryOf } from "./names.ts";

/** What a pointer says. */
export type PointerTarget =
  /** The manifest that a tag means now. */
  | { readonly kind: "tag"; readonly repository: string; readonly tag: string }
  /** Size and media type of a manifest. */
  | { readonly kind: "manifest"; readonly repository: string; readonly digest: Digest }
  /** A snapshot of the repository's tags. */
  | { readonly kind: "tags"; readonly repository: string }
  /** A snapshot of what refers to a manifest. */
  | { readonly kind: "referrers"; readonly repository: string; readonly digest: Digest }
  /** A snapshot of the repositories. */
  | { readonly kind: "catalog" };

export type PointerKind = PointerTarget["kind"];

/** A name that asks for a pointer. */
export interface PointerRequest {
  readonly target: PointerTarget;
  /** Whether an answer made for this Interest alone is asked for: the name ends in a ParametersSha256Digest. */
  readonly isUnique: boolean;
}

const metadataText = "metadata";
const serverText = "server";
const serverIdGrammar = /^[0-9a-f]{16}$/;

/** `P/R/32=tag/<tag>/32=metadata` for example: what an Interest asks for. */
export function pointerName(prefix: Name, target: PointerTarget): Name {
  const above = target.kind === "catalog" ? prefix : repositoryName(prefix, target.repository);
  return joinName(above, keyword(target.kind), ...subjectOf(target), keyword(metadataText));
}

function subjectOf(target: PointerTarget): Name[] {
  if (target.kind === "tag") return [generic(target.tag)];
  return "digest" in target ? [generic(hashOf(target.digest))] : [];
}

/** Read the name of an Interest for a pointer from its end; undefined for every other name. */
export function parsePointerName(prefix: Name, name: Name): PointerRequest | undefined {
  const components = componentsUnder(prefix, name);
  const isUnique = components?.at(-1)?.type === TT.ParametersSha256DigestComponent;
  if (isUnique) components!.pop();
  if (keywordIn(name, components?.pop()) !== metadataText) return undefined;
  const target = targetOf(name, components!);
  return target && { target, isUnique };
}

function targetOf(name: Name, components: TlvSpan[]): PointerTarget | undefined {
  const last = components.pop();
  const kind = keywordIn(name, last);
  if (kind === "catalog") return components.length === 0 ? { kind } : undefined;
  if (kind === "tags") return ofRepository(name, components, { kind });
  const above = keywordIn(name, components.pop());
  if (last?.type !== TT.GenericNameComponent) return undefined;
  if (above === "tag") {
    const tag = name.toString("utf8", last.start, last.end);
    return isTag(tag) ? ofRepository(name, components, { kind: above, tag }) : undefined;
  }
  const digest = digestOf(name, last);
  if (digest === undefined || (above !== "manifest" && above !== "referrers")) return undefined;
  return ofRepository(name, components, { kind: above, digest });
}

function ofRepository<T extends object>(name: Name, components: TlvSpan[], what: T) {
  const repository = repositoryOf(name, components);
  return repository === undefined ? undefined : { ...what, repository };
}

function keywordIn(name: Name, span: TlvSpan | undefined): string | undefined {
  return span?.type === TT.KeywordNameComponent ? name.toString("utf8", span.start, span.end) : undefined;
}

/** `P/32=server/<id>`: where one server alone is, of all that publish under the prefix. @param id - 16 hex digits */
export function serverName(prefix: Name, id: string): Name {
  return joinName(prefix, keyword(serverText), generic(id));
}

/** Whether it is the name of one server under the prefix. */
export function isServerName(prefix: Name, name: Name): boolean {
  const [first, id, ...rest] = componentsUnder(prefix, name) ?? [];
  if (keywordIn(name, first) !== serverText || id?.type !== TT.GenericNameComponent || rest.length > 0) return false;
  return isServerId(name.toString("utf8", id.start, id.end));
}

/** Whether a text is the id of a server. */
export function isServerId(text: string): boolean {
  return serverIdGrammar.test(text);
}
