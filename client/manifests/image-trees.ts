/**
 * Which blobs belong to which image of the cache. Looking counts as no use, neither of blobs nor of tags.
 */

import { layersOf } from "#oci/manifest.ts";
import type { Digest } from "#oci/reference.ts";
import type { BlobStore } from "#store/blob-store.ts";
import { readWhole } from "./contents.ts";
import type { KeyedManifest, ManifestCache } from "./manifest-cache.ts";
import { digestName, type RepositoryKey, tagName } from "./manifest-names.ts";

/** An image of the cache. */
export interface CachedImage {
  /** `<registry>/<repository>:<tag>`, or `@<digest>` for a manifest that no tag means and that belongs to no other. */
  readonly name: string;
  /** `<registry>/<repository>`. */
  readonly repository: RepositoryKey;
  /** Undefined where no tag means it. */
  readonly tag: string | undefined;
  /** Of its manifest or index; of those that a tag means, the one seen last. */
  readonly digest: Digest;
  /** Of all that is known to belong to it: of an index the platforms whose manifests are cached. */
  readonly sizeBytes: number;
  readonly cachedBytes: number;
  /** When its manifests were used last, in milliseconds since 1970. */
  readonly lastUsedAt: number;
  readonly isPinned: boolean;
  /** Manifests, configurations and layers, cached or not. */
  readonly blobs: readonly Digest[];
}

/** The same with all that belongs to it. */
export interface ImageTree extends CachedImage {
  /** Its blobs with their sizes, as the manifests claim them. */
  readonly sizes: ReadonlyMap<Digest, number>;
}

/** What is read of the store. */
export type LookedAt = Pick<BlobStore, "list" | "inspect" | "has" | "pins">;

type Root = Pick<KeyedManifest, "digest" | "contentType" | "sizeBytes">;

/** All images, last used first. */
export async function imageTrees(cache: ManifestCache, store: LookedAt): Promise<ImageTree[]> {
  const manifests = new Map(cache.manifests().map((one) => [digestName(one.key, one.digest), one]));
  const reader = new TreeReader(store);
  const tagged: ImageTree[] = [];
  for (const { key, tag, tagged: meanings } of cache.tags()) {
    const roots = meanings
      .map(({ digest }) => manifests.get(digestName(key, digest)))
      .filter((one) => one !== undefined);
    if (roots.length > 0) tagged.push(await reader.read(key, tag, roots));
  }
  const untagged: ImageTree[] = [];
  const [ofTags, ofIndexes] = [namesIn(tagged), new Set<string>()];
  for (const [name, manifest] of manifests) {
    if (ofTags.has(name)) continue;
    const tree = await reader.read(manifest.key, undefined, [manifest]);
    untagged.push(tree);
    for (const digest of tree.blobs) if (digest !== tree.digest) ofIndexes.add(digestName(tree.repository, digest));
  }
  const all = [...tagged, ...untagged.filter(({ name }) => !ofIndexes.has(name))];
  return all.sort((a, b) => b.lastUsedAt - a.lastUsedAt);
}

/** One image; the manifests that its tag means, newest first. */
export function imageTree(
  store: LookedAt,
  key: RepositoryKey,
  tag: string,
  roots: readonly Root[],
): Promise<ImageTree> {
  return new TreeReader(store).read(key, tag, roots);
}

/** All that belongs to any of these. */
export function digestsIn(trees: readonly ImageTree[]): Set<Digest> {
  return new Set(trees.flatMap(({ blobs }) => blobs));
}

function namesIn(trees: readonly ImageTree[]): Set<string> {
  return new Set(trees.flatMap(({ repository, blobs }) => blobs.map((digest) => digestName(repository, digest))));
}

class TreeReader {
  readonly #store: LookedAt;
  readonly #usedAt: ReadonlyMap<Digest, number>;

  constructor(store: LookedAt) {
    this.#store = store;
    this.#usedAt = new Map(store.list().map(({ digest, lastUsedAt }) => [digest, lastUsedAt]));
  }

  async read(key: RepositoryKey, tag: string | undefined, roots: readonly Root[]): Promise<ImageTree> {
    const [sizes, manifests] = [new Map<Digest, number>(), new Set<Digest>()];
    for (const { digest, contentType, sizeBytes } of roots) {
      await this.#grow({ sizes, manifests }, { digest, mediaType: contentType, sizeBytes });
    }
    const { digest } = roots[0]!;
    const name = tag === undefined ? digestName(key, digest) : tagName(key, tag);
    const cached = [...sizes].filter(([one]) => this.#store.has(one)).map(([, size]) => size);
    return {
      ...{ name, repository: key, tag, digest, sizes },
      blobs: [...sizes.keys()],
      sizeBytes: sumOf([...sizes.values()]),
      cachedBytes: sumOf(cached),
      lastUsedAt: Math.max(...[...manifests].map((one) => this.#usedAt.get(one) ?? 0)),
      isPinned: this.#store.pins.of(name) !== undefined,
    };
  }

  /** Add a manifest and all below it, as far as it is cached. */
  async #grow(
    found: { readonly sizes: Map<Digest, number>; readonly manifests: Set<Digest> },
    { digest, mediaType, sizeBytes }: { digest: Digest; mediaType: string; sizeBytes: number },
  ): Promise<void> {
    if (found.manifests.has(digest)) return;
    found.manifests.add(digest);
    found.sizes.set(digest, sizeBytes);
    const blob = await this.#store.inspect(digest);
    const bytes = blob && (await readWhole(blob));
    for (const child of bytes ? layersOf(mediaType, bytes) : []) {
      if (child.kind !== "manifest") found.sizes.set(child.digest, child.sizeBytes);
      else if (this.#store.has(child.digest)) await this.#grow(found, child);
    }
  }
}

/** Of sizes, in bytes. */
export function sumOf(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0);
}
