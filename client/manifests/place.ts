/**
 * How remembered manifests are named: `<registry>/<repository>` is a place, in which there are tags and digests.
 */
import { type Digest, parseSha256 } from "#oci/digest.ts";
import { isRepository, isTag } from "#oci/reference.ts";

/** `<registry>/<repository>`, e.g. `docker.io/library/alpine`. */
export type Place = string & { readonly __brand: "Place" };

/** What a name in a place means. */
export type Named =
  | { readonly place: Place; readonly tag: string; readonly digest?: undefined }
  | { readonly place: Place; readonly digest: Digest; readonly tag?: undefined };

/** @param registry - In its one spelling; it has no slash. */
export function placeOf(registry: string, repository: string): Place {
  return `${registry}/${repository}` as Place;
}

/** `<place>:<tag>`, as tools know it. */
export function tagName(place: Place, tag: string): string {
  return `${place}:${tag}`;
}

/** `<place>@<digest>`. */
export function digestName(place: Place, digest: Digest): string {
  return `${place}@${digest}`;
}

/** The inverse of `tagName` and `digestName`; undefined for anything else. */
export function parseName(name: string): Named | undefined {
  const [, registry, repository, separator, reference] = /^([^/]+)\/([^:@]+)([:@])(.+)$/.exec(name) ?? [];
  if (!registry || !repository || !reference || !isRepository(repository)) return undefined;
  const place = placeOf(registry, repository);
  if (separator === ":") return isTag(reference) ? { place, tag: reference } : undefined;
  const digest = parseSha256(reference);
  return digest && { place, digest };
}
