/**
 * Which manifests were seen where: by digest with the headers that belong to them, by tag as last seen, and how each
 * registry answers a ping. Shared by all registries; the bytes are elsewhere (`ManifestContents`).
 */
import { LRUCache } from "lru-cache";
import { admits, bareType } from "#oci/media-type.ts";
import type { Digest } from "#oci/reference.ts";
import type { ManifestContents } from "./contents.ts";
import { digestName, type RepositoryKey, tagName } from "./manifest-names.ts";

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
  /** As the upstream said it when it named the digest; undefined when it did not. Not written down. */
  readonly contentType?: string | undefined;
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
  readonly listeners = new Set<() => void>();
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
    this.#changed();
  }

  /**
   * The upstream has said that the tag means this digest now, for the Accept that it was asked with.
   *
   * @param askedMs - When the question was asked whose answer came late: what was seen since then is newer.
   */
  sawTag(
    key: RepositoryKey,
    tag: string,
    digest: Digest,
    { contentType, askedMs }: { contentType?: string | undefined; askedMs?: number | undefined } = {},
  ): void {
    const before = this.#tagged(key, tag);
    if (askedMs !== undefined && before[0] && before[0].seenMs > askedMs) return;
    this.putTag(key, tag, [{ digest, seenMs: this.#now(), contentType }, ...before]);
    this.#changed();
  }

  /**
   * What a tag means for a puller with this Accept: of the types that it takes, the manifest that was named last.
   * Undefined when that is not cached: what the tag meant before is over.
   */
  byTag(key: RepositoryKey, tag: string, accept?: string): CachedManifest | undefined {
    const named = this.#tagged(key, tag).find((one) => {
      const type = this.#typeOf(key, one);
      return type === undefined || admits(accept, type);
    });
    const manifest = named && this.byDigest(key, named.digest);
    return manifest && { ...manifest, seenMs: named.seenMs };
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

  /** Their media types, as far as they are known. */
  typesOf(key: RepositoryKey, tag: string): string[] {
    return this.#tagged(key, tag).flatMap((one) => this.#typeOf(key, one) ?? []);
  }

  /** The tag is gone: deleted here, or the upstream does not know it. */
  forgetTag(key: RepositoryKey, tag: string): void {
    if (this.#tags.delete(tagName(key, tag))) this.#changed();
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
    this.#changed();
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
    this.#changed();
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

  /** As it was written down; calls no listener. */
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

  #changed(): void {
    for (const listener of this.listeners) listener();
  }

  #tagged(key: RepositoryKey, tag: string): readonly TaggedDigest[] {
    return this.#tags.get(tagName(key, tag))?.tagged ?? [];
  }

  #typeOf(key: RepositoryKey, { digest, contentType }: TaggedDigest): string | undefined {
    return this.#manifests.peek(digestName(key, digest))?.contentType ?? contentType;
  }

  /** One digest per media type, the one that was named last, whether it has been read or not. */
  #fewest(key: RepositoryKey, tagged: readonly TaggedDigest[]): TaggedDigest[] {
    const seen = new Set<string>();
    const kept = tagged.filter((one) => {
      const type = this.#typeOf(key, one);
      const names = type === undefined ? [one.digest] : [one.digest, bareType(type)];
      const isOld = names.some((name) => seen.has(name));
      for (const name of names) seen.add(name);
      return !isOld;
    });
    return kept.slice(0, maxDigestsPerTag);
  }
}
