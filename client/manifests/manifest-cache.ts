/**
 * Which manifests were seen where: by digest with the headers that belong to them, by tag as last seen, and how each
 * registry answers a ping. Shared by all registries; the bytes are elsewhere (`ManifestContents`).
 */
import { LRUCache } from "lru-cache";
import { type Digest, parseSha256 } from "#oci/digest.ts";
import { bareType } from "#oci/media-type.ts";
import { isRepository, isTag } from "#oci/reference.ts";
import type { ManifestContents } from "./contents.ts";

/** `<registry>/<repository>`, e.g. `docker.io/library/alpine`. */
export type RepositoryKey = string & { readonly __brand: "RepositoryKey" };

/** What a name means. */
export type Named =
  | { readonly key: RepositoryKey; readonly tag: string; readonly digest?: undefined }
  | { readonly key: RepositoryKey; readonly digest: Digest; readonly tag?: undefined };

/** What is known of a manifest in a repository. */
export interface CachedManifest {
  readonly digest: Digest;
  /** As the upstream said it, with parameters. */
  readonly contentType: string;
  readonly sizeBytes: number;
  readonly etag: string | undefined;
  /** Milliseconds since 1970. */
  readonly seenMs: number;
}

/** What a tag was seen to mean; registries answer by Accept, so that there may be several at a time. */
export interface TaggedDigest {
  readonly digest: Digest;
  readonly seenMs: number;
}

/** How a registry answers an anonymous `/v2/`. */
export interface PingAnswer {
  readonly status: 200 | 401;
  /** Values of WWW-Authenticate. */
  readonly challenges: readonly string[];
}

export interface ManifestCacheOptions {
  readonly contents: Pick<ManifestContents, "has" | "delete">;
  /** Of manifests, and of tags; those least recently used go first. @defaultValue 10000 */
  readonly maxEntries?: number | undefined;
  /** For tests. @defaultValue Date.now */
  readonly now?: (() => number) | undefined;
}

/** A manifest with the key of its repository. */
export interface KeyedManifest extends CachedManifest {
  readonly key: RepositoryKey;
}

/** A tag with the key of its repository. */
export interface KeyedTag {
  readonly key: RepositoryKey;
  readonly tag: string;
  /** Newest first. */
  readonly tagged: readonly TaggedDigest[];
}

const maxDigestsPerTag = 4;
const maxRegistries = 1000;

export class ManifestCache {
  /** Called after each change. */
  onChange: () => void = () => {};
  readonly maxEntries: number;
  readonly #contents: Pick<ManifestContents, "has" | "delete">;
  readonly #now: () => number;
  readonly #manifests: LRUCache<string, KeyedManifest>;
  readonly #tags: LRUCache<string, KeyedTag>;
  readonly #pings: LRUCache<string, PingAnswer>;

  constructor({ contents, maxEntries = 10_000, now = Date.now }: ManifestCacheOptions) {
    this.#contents = contents;
    this.#now = now;
    this.maxEntries = maxEntries;
    this.#manifests = new LRUCache({ max: maxEntries });
    this.#tags = new LRUCache({ max: maxEntries });
    this.#pings = new LRUCache({ max: maxRegistries });
  }

  /** The upstream has served this manifest, or said that it would. */
  sawManifest(key: RepositoryKey, manifest: Omit<CachedManifest, "seenMs">): void {
    this.putManifest(key, { ...manifest, seenMs: this.#now() });
    this.onChange();
  }

  /** The upstream has said that the tag means this digest now, for the Accept that it was asked with. */
  sawTag(key: RepositoryKey, tag: string, digest: Digest): void {
    this.putTag(key, tag, [{ digest, seenMs: this.#now() }, ...this.#tagged(key, tag)]);
    this.onChange();
  }

  /** What a tag means, newest first: those whose manifest is known and cached. */
  byTag(key: RepositoryKey, tag: string): CachedManifest[] {
    return this.#tagged(key, tag).flatMap(({ digest, seenMs }) => {
      const manifest = this.byDigest(key, digest);
      return manifest ? [{ ...manifest, seenMs }] : [];
    });
  }

  /** A manifest that is known in this repository and cached. */
  byDigest(key: RepositoryKey, digest: Digest): CachedManifest | undefined {
    const manifest = this.#manifests.get(digestName(key, digest));
    return manifest && this.#contents.has(digest) ? manifest : undefined;
  }

  /** All digests that a tag was seen to mean, cached or not. */
  digestsOf(key: RepositoryKey, tag: string): Digest[] {
    return this.#tagged(key, tag).map(({ digest }) => digest);
  }

  /** The tag is gone: deleted here, or the upstream does not know it. */
  forgetTag(key: RepositoryKey, tag: string): void {
    if (this.#tags.delete(tagName(key, tag))) this.onChange();
  }

  /** The manifest is gone from this repository, and so are its tags; its bytes go when no other repository has it. */
  async forgetDigest(key: RepositoryKey, digest: Digest): Promise<void> {
    if (!this.#manifests.delete(digestName(key, digest))) return;
    for (const { tag, tagged, ...other } of [...this.#tags.values()]) {
      if (other.key !== key || !tagged.some((one) => one.digest === digest)) continue;
      const others = tagged.filter((one) => one.digest !== digest);
      if (others.length > 0) this.putTag(key, tag, others);
      else this.#tags.delete(tagName(key, tag));
    }
    this.onChange();
    const isElsewhere = [...this.#manifests.values()].some((one) => one.digest === digest);
    if (!isElsewhere) await this.#contents.delete(digest);
  }

  /**
   * A manifest has been pushed through here: what its tag meant before is over, for every puller.
   *
   * @param reference - Of the path: a tag or a digest.
   * @param digest - As the upstream's answer says it; undefined when it does not.
   */
  wroteManifest(key: RepositoryKey, reference: string, digest: Digest | undefined): void {
    if (reference.includes(":")) return;
    this.forgetTag(key, reference);
    if (digest) this.sawTag(key, reference, digest);
  }

  /** Whether anything of this registry is remembered. */
  knows(registry: string): boolean {
    return this.#pings.has(registry) || this.#manifests.keys().some((name) => name.startsWith(`${registry}/`));
  }

  ping(registry: string): PingAnswer | undefined {
    return this.#pings.get(registry);
  }

  sawPing(registry: string, ping: PingAnswer): void {
    if (JSON.stringify(this.#pings.get(registry)) === JSON.stringify(ping)) return;
    this.putPing(registry, ping);
    this.onChange();
  }

  /** All that are cached, most recently used first; to be written down. */
  manifests(): KeyedManifest[] {
    return [...this.#manifests.values()].filter(({ digest }) => this.#contents.has(digest));
  }

  /** All tags, most recently used first, with the digests that are not cached too. */
  tags(): KeyedTag[] {
    return [...this.#tags.values()];
  }

  pings(): Iterable<[string, PingAnswer]> {
    return this.#pings.entries();
  }

  /** As it was written down; does not call `onChange`. */
  putManifest(key: RepositoryKey, manifest: CachedManifest): void {
    this.#manifests.set(digestName(key, manifest.digest), { ...manifest, key });
  }

  /** @param tagged - Newest first. */
  putTag(key: RepositoryKey, tag: string, tagged: readonly TaggedDigest[]): void {
    this.#tags.set(tagName(key, tag), { key, tag, tagged: this.#fewest(key, tagged) });
  }

  putPing(registry: string, ping: PingAnswer): void {
    this.#pings.set(registry, ping);
  }

  #tagged(key: RepositoryKey, tag: string): readonly TaggedDigest[] {
    return this.#tags.get(tagName(key, tag))?.tagged ?? [];
  }

  /**
   * One digest per media type, the newest that is cached: of a tag that has moved on, the old manifest is still the one
   * to serve until the new one has been read.
   */
  #fewest(key: RepositoryKey, tagged: readonly TaggedDigest[]): TaggedDigest[] {
    const [digests, types] = [new Set<Digest>(), new Set<string>()];
    const kept = tagged.filter(({ digest }) => {
      const manifest = this.#manifests.peek(digestName(key, digest));
      const type = manifest && this.#contents.has(digest) ? bareType(manifest.contentType) : undefined;
      const isOld = digests.has(digest) || (type !== undefined && types.has(type));
      digests.add(digest);
      if (type !== undefined) types.add(type);
      return !isOld;
    });
    while (kept.length > maxDigestsPerTag) {
      const uncached = kept.findLastIndex(({ digest }, at) => at > 0 && !this.#contents.has(digest));
      kept.splice(uncached > 0 ? uncached : kept.length - 1, 1);
    }
    return kept;
  }
}

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
