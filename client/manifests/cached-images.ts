/**
 * Removing and pinning what is cached by image: what other images need stays.
 */
import type { Logger } from "pino";
import { reasonOf } from "#base/errors.ts";
import { RegistryError } from "#oci/errors.ts";
import type { Digest } from "#oci/reference.ts";
import type { BlobStore } from "#store/blob-store.ts";
import { PinRefused } from "#store/pinned-blobs.ts";
import { imagesMeant, theOne } from "./image-names.ts";
import { type CachedImage, digestsIn, imageTree, imageTrees, type LookedAt, sumOf } from "./image-trees.ts";
import type { CachedManifest, ManifestCache } from "./manifest-cache.ts";
import { type RepositoryKey, tagName } from "./manifest-names.ts";

/** What removing an image freed. */
export interface RemovedImage {
  readonly name: string;
  /** Manifests, configurations and layers. */
  readonly blobs: number;
  readonly freedBytes: number;
}

/** How long after a change the pins follow it: what has just come is not evicted so soon. */
const followMs = 2_000;

/** The images that a manifest cache knows, in the store that its manifests are in. */
export class CachedImages {
  readonly #cache: ManifestCache;
  readonly #store: LookedAt & Pick<BlobStore, "delete" | "maxBytes">;
  readonly #log: Pick<Logger, "warn">;
  #timer: NodeJS.Timeout | undefined;
  #following: Promise<void> = Promise.resolve();

  constructor(
    cache: ManifestCache,
    store: LookedAt & Pick<BlobStore, "delete" | "maxBytes">,
    log: Pick<Logger, "warn">,
  ) {
    this.#cache = cache;
    this.#store = store;
    this.#log = log;
    cache.listeners.add(this.#followSoon);
  }

  /** All images, last used first. */
  async list(): Promise<CachedImage[]> {
    return (await this.#trees()).map(({ sizes: _sizes, ...image }) => image);
  }

  /**
   * Forget an image, or a blob, by what people call it; what other images need stays.
   *
   * @throws RegistryError when it is not cached, could be several, or is pinned.
   */
  async remove(text: string): Promise<RemovedImage> {
    const trees = await this.#trees();
    const found = imagesMeant(text, trees);
    if (found.length === 0) return this.#removeBlob(text);
    const tree = theOne(text, found);
    if (tree.isPinned) throw isPinned(tree.name);
    const others = trees.filter((other) => other !== tree);
    const [ofOthers, ofNeighbours] = [
      digestsIn(others),
      digestsIn(others.filter(({ repository }) => repository === tree.repository)),
    ];
    const goes = tree.blobs.filter((digest) => !ofOthers.has(digest));
    const removed = { name: tree.name, ...this.#count(goes) };
    if (tree.tag !== undefined) this.#cache.forgetTag(tree.repository, tree.tag);
    for (const digest of tree.blobs)
      if (!ofNeighbours.has(digest)) await this.#cache.forgetDigest(tree.repository, digest);
    for (const digest of goes) await this.#store.delete(digest);
    return removed;
  }

  /**
   * Keep an image from eviction, what its tag will mean as well, until it is unpinned.
   *
   * @throws RegistryError when it is not cached, could be several, or does not fit beside what is pinned.
   */
  async pin(text: string): Promise<CachedImage> {
    const { pins, maxBytes } = this.#store;
    const trees = await this.#trees();
    const tree = theOne(text, imagesMeant(text, trees));
    const kept = trees.filter((one) => one.isPinned || one === tree);
    const needed = sumOf([...new Map(kept.flatMap(({ sizes }) => [...sizes])).values()]);
    if (needed > maxBytes) {
      const why = `pinned images would need ${needed} bytes, and the cache has ${maxBytes}`;
      throw new RegistryError("DENIED", `${tree.name} is not pinned: ${why}`, { status: 409 });
    }
    await writtenDown(pins.pin(tree.name, tree.blobs));
    const { sizes: _sizes, ...image } = tree;
    return { ...image, isPinned: true };
  }

  /** Let an image be evicted again. @returns its name @throws RegistryError when none, or several, of the pinned ones are meant */
  async unpin(text: string): Promise<string> {
    const { pins } = this.#store;
    const known = await this.#trees();
    const pinned = pins.names().map((name) => ({ name, digest: known.find((one) => one.name === name)?.digest ?? "" }));
    const found = imagesMeant(text, pinned);
    if (found.length === 0) throw new RegistryError("MANIFEST_UNKNOWN", `${text} is not pinned`);
    const { name } = theOne(text, found);
    await writtenDown(pins.unpin(name));
    return name;
  }

  /** Follow the cache no longer. */
  async close(): Promise<void> {
    this.#cache.listeners.delete(this.#followSoon);
    clearTimeout(this.#timer);
    await this.#following;
  }

  #trees() {
    return imageTrees(this.#cache, this.#store);
  }

  readonly #followSoon = (): void => {
    if (this.#timer || this.#store.pins.names().length === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#following = this.follow().catch((err: unknown) => this.#log.warn({ err }, "a pin cannot follow its tag"));
    }, followMs).unref();
  };

  /** Pin what the pinned tags mean now. What is read here is not forgotten among the manifests and tags of others. */
  async follow(): Promise<void> {
    const { pins } = this.#store;
    for (const { key, tag } of this.#cache.tags()) {
      const before = pins.of(tagName(key, tag));
      const manifests = before ? this.#meaningsOf(key, tag) : [];
      if (!before || manifests.length === 0) continue;
      const now = (await imageTree(this.#store, key, tag, manifests)).blobs;
      for (const digest of now) this.#cache.byDigest(key, digest);
      const isSame = now.length === before.length && now.every((digest) => before.includes(digest));
      if (!isSame && pins.of(tagName(key, tag))) await pins.pin(tagName(key, tag), now);
    }
  }

  /** The manifests that a tag means, newest first, as far as they are cached. */
  #meaningsOf(key: RepositoryKey, tag: string): CachedManifest[] {
    const found = this.#cache.digestsOf(key, tag).map((digest) => this.#cache.byDigest(key, digest));
    return found.filter((one) => one !== undefined);
  }

  async #removeBlob(text: string): Promise<RemovedImage> {
    const blobs = this.#store.list().map(({ digest }) => ({ name: digest as string, digest }));
    const { digest } = theOne(text, imagesMeant(text, blobs));
    if (this.#store.pins.all.has(digest)) throw isPinned(digest);
    const removed = { name: digest, ...this.#count([digest]) };
    await this.#store.delete(digest);
    return removed;
  }

  /** What removing these frees. */
  #count(digests: readonly Digest[]): { blobs: number; freedBytes: number } {
    const wanted = new Set(digests);
    const cached = this.#store.list().filter(({ digest }) => wanted.has(digest));
    return { blobs: cached.length, freedBytes: sumOf(cached.map(({ sizeBytes }) => sizeBytes)) };
  }
}

/** @throws RegistryError when too much is pinned, or the disk refuses. */
async function writtenDown(change: Promise<unknown>): Promise<void> {
  await change.catch((err: unknown) => {
    if (err instanceof PinRefused) throw new RegistryError("DENIED", err.message, { status: 409 });
    throw new RegistryError("UNAVAILABLE", `a restart will forget this: ${reasonOf(err)}`, { cause: err });
  });
}

function isPinned(name: string): RegistryError {
  return new RegistryError("DENIED", `${name} is pinned: unpin it first`, { status: 409 });
}
