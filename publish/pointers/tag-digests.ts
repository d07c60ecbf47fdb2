/**
 * What the tags of a list mean, as far as that is known: from the registry's disk, else from what was asked for before,
 * and from HEADs in the background, few a second.
 */
import { LRUCache } from "lru-cache";
import { TokenBucket } from "#base/limits.ts";
import type { ListedTag } from "#blob/snapshots.ts";
import type { Digest } from "#oci/reference.ts";
import type { ImageRegistry } from "./image-registry.ts";

const headsPerSecond = 20;
/** Of one repository: those that sort last, which mostly are the newest. */
const maxTags = 500;
const maxRepositories = 100;
/** Repositories whose tags wait to be asked for. */
const maxWaiting = 32;
/** What is known for longer is asked for again when the list is. */
const renewAfterMs = 5 * 60_000;

/** Digests of tags on the registry's disk. */
export interface StoredTags {
  /** The digest of each tag that has one there. */
  digestsOf(repository: string, tags: readonly string[]): Promise<ReadonlyMap<string, Digest>>;
}

interface Known {
  /** Undefined when the registry did not say it. */
  readonly digest: Digest | undefined;
  readonly asOf: number;
}

/** What is known of tags. */
export class TagDigests {
  readonly #registry: Pick<ImageRegistry, "digestOf">;
  readonly #stored: StoredTags | undefined;
  readonly #signal: AbortSignal;
  readonly #known = new LRUCache<string, LRUCache<string, Known>>({ max: maxRepositories });
  readonly #waiting = new Map<string, readonly string[]>();
  readonly #bucket = new TokenBucket(headsPerSecond, 1);
  #isAsking = false;

  /** @param signal - Ends what is done in the background. */
  constructor(registry: Pick<ImageRegistry, "digestOf">, stored: StoredTags | undefined, signal: AbortSignal) {
    this.#registry = registry;
    this.#stored = stored;
    this.#signal = signal;
  }

  /** The registry has said at `asOf`, in milliseconds since 1970, what a tag means. */
  learn(repository: string, tag: string, digest: Digest | undefined, asOf: number): void {
    const known = this.#known.get(repository) ?? new LRUCache<string, Known>({ max: maxTags });
    this.#known.set(repository, known.set(tag, { digest, asOf }));
  }

  /** The tags, each with what is known of it now; sees to it that more is known the next time. */
  async describe(repository: string, tags: readonly string[]): Promise<ListedTag[]> {
    if (this.#stored) return this.#describeStored(repository, tags, this.#stored);
    const known = this.#known.get(repository);
    this.#askInBackground(repository, tags);
    return tags.map((name) => {
      const { digest, asOf } = known?.peek(name) ?? {};
      return digest ? { name, digest, asOf } : { name };
    });
  }

  async #describeStored(repository: string, tags: readonly string[], stored: StoredTags): Promise<ListedTag[]> {
    const asOf = Date.now();
    const digests = await stored.digestsOf(repository, tags);
    return tags.map((name) => {
      const digest = digests.get(name);
      return digest ? { name, digest, asOf } : { name };
    });
  }

  #askInBackground(repository: string, tags: readonly string[]): void {
    if (this.#waiting.has(repository) || this.#waiting.size >= maxWaiting) return;
    const known = this.#known.get(repository);
    const renewBefore = Date.now() - renewAfterMs;
    const newest = [...tags].sort().slice(-maxTags);
    const wanted = newest.filter((tag) => !((known?.peek(tag)?.asOf ?? 0) > renewBefore));
    if (wanted.length === 0) return;
    this.#waiting.set(repository, wanted);
    if (!this.#isAsking) void this.#askAll();
  }

  async #askAll(): Promise<void> {
    this.#isAsking = true;
    try {
      for (const [repository, tags] of this.#waiting) {
        for (const tag of tags) await this.#ask(repository, tag);
        this.#waiting.delete(repository);
      }
    } catch {
      this.#waiting.clear(); // the registry has trouble, or the server stops: asked again with the next list
    } finally {
      this.#isAsking = false;
    }
  }

  async #ask(repository: string, tag: string): Promise<void> {
    await this.#bucket.take(1, this.#signal);
    const asOf = Date.now();
    const digest = await this.#registry.digestOf(repository, tag);
    this.learn(repository, tag, digest === "unsaid" ? undefined : digest, asOf);
  }
}
