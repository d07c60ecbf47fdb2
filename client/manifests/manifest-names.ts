/** The names by which manifests are known across all registries: `<registry>/<repository>:<tag>` and `…@<digest>`. */
import { type Digest, isRepository, isTag, parseSha256 } from "#oci/reference.ts";

/** `<registry>/<repository>`, e.g. `docker.io/library/alpine`. */
export type RepositoryKey = string & { readonly __brand: "RepositoryKey" };

/** What a name means. */
export type Named =
  | { readonly key: RepositoryKey; readonly tag: string; readonly digest?: undefined }
  | { readonly key: RepositoryKey; readonly digest: Digest; readonly tag?: undefined };

/** @param registry - In its one spelling; it has no slash. */
export function repositoryKey(registry: string, repository: string): RepositoryKey {
  return `${registry}/${repository}` as RepositoryKey;
}

/** `<repository key>:<tag>`, as tools know it. */
export function tagName(key: RepositoryKey, tag: string): string {
  return `${key}:${tag}`;
}

/** `<repository key>@<digest>`. */
export function digestName(key: RepositoryKey, digest: Digest): string {
  return `${key}@${digest}`;
}

/** The inverse of `tagName` and `digestName`; undefined for anything else. */
export function parseName(name: string): Named | undefined {
  const [, registry, repository, separator, reference] = /^([^/]+)\/([^:@]+)([:@])(.+)$/.exec(name) ?? [];
  if (!registry || !repository || !reference || !isRepository(repository)) return undefined;
  const key = repositoryKey(registry, repository);
  if (separator === ":") return isTag(reference) ? { key, tag: reference } : undefined;
  const digest = parseSha256(reference);
  return digest && { key, digest };
}
