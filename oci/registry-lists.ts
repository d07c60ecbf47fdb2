/**
 * Lists of one registry, in its own pages (OCI distribution-spec § Listing tags, § Listing referrers; the catalog of
 * distribution): as many as there are, each named by the one before.
 */
import { z } from "zod";
import { RegistryUnreachable } from "./errors.ts";
import { manifestAccept } from "./manifest.ts";
import type { AskOptions } from "./manifest-reader.ts";
import { type Digest, isRepository, isTag } from "./reference.ts";
import type { RegistryClient } from "./registry-client.ts";
import { isAbsent, readSmallBody } from "./small-body.ts";

/** What is asked for at a time: distribution refuses more of its catalog. */
const pageItems = 1000;
const maxPages = 10_000;
/** Of all pages together. */
const maxListBytes = 16 * 1024 * 1024;

type Asked = Pick<RegistryClient, "base" | "request">;

const tagsPage = z.object({ tags: z.array(z.string()).nullish() });
const catalogPage = z.object({ repositories: z.array(z.string()).nullish() });
const indexPage = z.object({ manifests: z.array(z.looseObject({ digest: z.string() })).nullish() });

/** A descriptor in an index, with all its fields. */
export type Descriptor = z.infer<typeof indexPage>["manifests"] extends (infer T)[] | null | undefined ? T : never;

/**
 * All tags of a repository, each once.
 *
 * @returns undefined when the registry says that there is no such repository, or none that may be seen.
 * @throws RegistryUnreachable when it cannot tell now, or the list is longer than 16 MiB.
 */
export async function listTags(registry: Asked, repository: string, options: AskOptions) {
  const pages = await readPages(registry, `/v2/${repository}/tags/list?n=${pageItems}`, tagsPage, options);
  return pages && distinct(pages.flatMap(({ tags }) => tags ?? [])).filter(isTag);
}

/** All repositories, each once, under the same rules. */
export async function listRepositories(registry: Asked, options: AskOptions) {
  const pages = await readPages(registry, `/v2/_catalog?n=${pageItems}`, catalogPage, options);
  return pages && distinct(pages.flatMap(({ repositories }) => repositories ?? [])).filter(isRepository);
}

/** What the registry's referrers API lists, under the same rules; undefined also where there is no such API. */
export async function listReferrers(registry: Asked, repository: string, digest: Digest, options: AskOptions) {
  const pages = await readPages(registry, `/v2/${repository}/referrers/${digest}`, indexPage, options);
  return pages?.flatMap(({ manifests }) => manifests ?? []);
}

/** The children of an index, with all their fields; undefined when it is none. */
export function descriptorsOf(index: Uint8Array): Descriptor[] | undefined {
  try {
    return indexPage.safeParse(JSON.parse(Buffer.from(index).toString("utf8"))).data?.manifests ?? undefined;
  } catch {
    return undefined;
  }
}

async function readPages<T>(
  registry: Asked,
  firstPath: string,
  schema: z.ZodType<T>,
  options: AskOptions,
): Promise<T[] | undefined> {
  const pages: T[] = [];
  const seen = new Set<string>();
  let leftBytes = maxListBytes;
  for (let path: string | undefined = firstPath; path !== undefined; ) {
    if (seen.has(path) || seen.size >= maxPages) throw new RegistryUnreachable(`pages of ${firstPath} have no end`);
    seen.add(path);
    const page: Page | undefined = await readPage(registry, path, leftBytes, options);
    if (page === undefined) return undefined;
    leftBytes -= page.bytes.length;
    pages.push(parse(schema, page.bytes, path));
    path = page.next;
  }
  return pages;
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

function parse<T>(schema: z.ZodType<T>, bytes: Buffer, path: string): T {
  try {
    return schema.parse(JSON.parse(bytes.toString("utf8")));
  } catch (err: unknown) {
    throw new RegistryUnreachable(`GET ${path} brings no such list`, { cause: err });
  }
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
