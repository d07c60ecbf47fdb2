/**
 * Lists of one registry, in its own pages (OCI distribution-spec § Listing tags, § Listing referrers; the catalog of
 * distribution): as many as there are, each named by the one before.
 */
import { RegistryUnreachable } from "./errors.ts";
import type { AskOptions } from "./manifest-reader.ts";
import { manifestAccept } from "./media-type.ts";
import { type Digest, isRepository, isTag } from "./reference.ts";
import type { RegistryClient } from "./registry-client.ts";
import { isAbsent, readSmallBody } from "./small-body.ts";

/** What is asked for at a time: distribution refuses more of its catalog. */
const pageItems = 1000;
const maxPages = 10_000;
/** Of all pages together. */
const maxListBytes = 16 * 1024 * 1024;

type Asked = Pick<RegistryClient, "base" | "request">;

/** A descriptor in an index, with all its fields (OCI image-spec, descriptor.md). */
export type Descriptor = Readonly<Record<string, unknown>> & { readonly digest: string };

/**
 * All tags of a repository, each once.
 *
 * @returns undefined when the registry says that there is no such repository, or none that may be seen.
 * @throws RegistryUnreachable when it cannot tell now, or the list is longer than 16 MiB.
 */
export async function listTags(registry: Asked, repository: string, options: AskOptions) {
  const tags = await readPages(registry, `/v2/${repository}/tags/list?n=${pageItems}`, "tags", options);
  return tags && distinct(tags.filter(isString)).filter(isTag);
}

/** All repositories, each once, under the same rules. */
export async function listRepositories(registry: Asked, options: AskOptions) {
  const repositories = await readPages(registry, `/v2/_catalog?n=${pageItems}`, "repositories", options);
  return repositories && distinct(repositories.filter(isString)).filter(isRepository);
}

/** What the registry's referrers API lists, under the same rules; undefined also where there is no such API. */
export async function listReferrers(registry: Asked, repository: string, digest: Digest, options: AskOptions) {
  const manifests = await readPages(registry, `/v2/${repository}/referrers/${digest}`, "manifests", options);
  return manifests?.filter(isDescriptor);
}

/** The children of an index, with all their fields; undefined when it is none. */
export function descriptorsOf(index: Uint8Array): Descriptor[] | undefined {
  return itemsIn(index, "manifests")?.filter(isDescriptor);
}

/** What all pages have under a key. */
async function readPages(
  registry: Asked,
  firstPath: string,
  key: string,
  options: AskOptions,
): Promise<unknown[] | undefined> {
  const all: unknown[] = [];
  const seen = new Set<string>();
  let leftBytes = maxListBytes;
  for (let path: string | undefined = firstPath; path !== undefined; ) {
    if (seen.has(path) || seen.size >= maxPages) throw new RegistryUnreachable(`pages of ${firstPath} have no end`);
    seen.add(path);
    const page: Page | undefined = await readPage(registry, path, leftBytes, options);
    if (page === undefined) return undefined;
    leftBytes -= page.bytes.length;
    const items = itemsIn(page.bytes, key);
    if (items === undefined) throw new RegistryUnreachable(`GET ${path} brings no such list`);
    for (const item of items) all.push(item);
    path = page.next;
  }
  return all;
}

interface Page {
  readonly bytes: Buffer;
  readonly next: string | undefined;
}

async function readPage(
  registry: Asked,
  path: string,
  maxBytes: number,
  options: AskOptions,
): Promise<Page | undefined> {
  const headers = { accept: `application/json, ${manifestAccept}` };
  const response = await registry.request("GET", path, { ...options, headers });
  const bytes = await readSmallBody(response, maxBytes, path);
  if (isAbsent(response.status)) return undefined;
  if (response.status !== 200) throw new RegistryUnreachable(`registry answered ${response.status} to GET ${path}`);
  return { bytes, next: nextPath(response.headers.link, path, registry.base) };
}

/** The list under a key of a JSON object, an empty one for null; undefined when there is no such list. */
function itemsIn(bytes: Uint8Array, key: string): unknown[] | undefined {
  try {
    const json = JSON.parse(Buffer.from(bytes).toString("utf8")) as Readonly<Record<string, unknown>>;
    const isLeftOut = json[key] === undefined && "name" in json; // as Go's omitempty does with no tags
    const items = json[key] === null || isLeftOut ? [] : json[key];
    return Array.isArray(items) ? items : undefined;
  } catch {
    return undefined;
  }
}

function isString(item: unknown): item is string {
  return typeof item === "string";
}

function isDescriptor(item: unknown): item is Descriptor {
  return typeof item === "object" && item !== null && "digest" in item && isString(item.digest);
}

/**
 * The path of the next page, below the registry's base (RFC 8288 § 3; rel="next").
 *
 * @throws RegistryUnreachable when it is at another host or outside of the API: what would be asked there is not ours.
 */
function nextPath(link: string | string[] | undefined, path: string, base: URL): string | undefined {
  const [, target] = /<([^<>]*)>\s*;[^,]*\brel="?next"?/i.exec([link ?? []].flat().join(", ")) ?? [];
  if (target === undefined) return undefined;
  const root = base.pathname.replace(/\/+$/, "");
  const url = URL.parse(target, new URL(root + path, base).href);
  const below = url?.pathname.startsWith(`${root}/v2/`) ? url.pathname.slice(root.length) : url?.pathname;
  // Behind a proxy that speaks TLS for it, a registry names itself by http:// although that is not where it is asked.
  if (url?.hostname === base.hostname && below?.startsWith("/v2/")) return below + url.search;
  throw new RegistryUnreachable(`GET ${path} names a next page elsewhere`);
}

function distinct(all: readonly string[]): string[] {
  return [...new Set(all)];
}
