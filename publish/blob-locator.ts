/**
 * Where a blob is read from: names of segments say only its digest. Opening a blob asks the registry, so this is where the
 * registry is protected: same Interests are one request, and strangers can only cause so many.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { removeLeftovers, writeFileAtomic } from "#base/atomic-file.ts";
import { TokenBucket } from "#base/limits.ts";
import { repositoryOfHint } from "#blob/names.ts";
import type { BlobRef } from "#blob/source.ts";
import type { InterestFields } from "#ndn/packet/interest.ts";
import type { Name } from "#ndn/packet/name.ts";
import { type Digest, isRepository, parseSha256 } from "#oci/reference.ts";
import { PagedBlob } from "./paged-blob.ts";
import type { PublishPolicy } from "./range-reader.ts";
import type { BlobPagesContext } from "./registry-read.ts";

const maxOpen = 4096;
/** How long it counts that there is no such blob: as long as the negative answer is fresh on NDN. */
const absentTtlMs = 1_000;
const maxAbsent = 10_000;
/** A search looks into every repository on the disk: this is how many of them strangers can cause. */
const searchesPerSecond = 20;

const maxDigests = 100_000;
/** A digest in more repositories than this is remembered in the latest ones only. */
const maxRepositories = 4;
const saveDelayMs = 5_000;
const fileName = "places.json";

/** What blobs are located with. */
export interface BlobLocatorOptions {
  readonly prefix: Name;
  readonly policy: PublishPolicy;
  readonly index: RepositoryIndex;
  readonly pages: BlobPagesContext;
  /** Looks a digest up where no repository is named (`--storage`). */
  readonly search: ((digest: Digest) => Promise<readonly string[]>) | undefined;
  /** How many openings that come to nothing strangers can cause; a blob that is there may be asked for by anyone. */
  readonly vainOpens: TokenBucket;
}

/** Finds the repository of a blob, opens it there, and keeps it open until the registry has to be asked again. */
export class BlobLocator {
  readonly #options: BlobLocatorOptions;
  readonly #open = new LRUCache<string, PagedBlob>({ max: maxOpen });
  readonly #opening = new Map<string, Promise<PagedBlob | undefined>>();
  readonly #absent = new LRUCache<string, true>({ max: maxAbsent, ttl: absentTtlMs });
  readonly #searches = new TokenBucket(searchesPerSecond, 5 * searchesPerSecond);

  constructor(options: BlobLocatorOptions) {
    this.#options = options;
  }

  /** Repositories that the hint and earlier Interests name; undefined when there is nowhere to look. No I/O. */
  candidates(digest: Digest, interest: InterestFields): readonly string[] | undefined {
    const { prefix, policy, index, search } = this.#options;
    const named = new Set<string>();
    for (const hint of interest.forwardingHint) {
      const repository = repositoryOfHint(prefix, hint);
      if (repository !== undefined && policy.allows(repository)) named.add(repository);
    }
    for (const repository of index.repositoriesOf(digest)) if (policy.allows(repository)) named.add(repository);
    return named.size === 0 && search === undefined ? undefined : [...named];
  }

  /**
   * The blob, open already or from the first repository that has it.
   * @throws Error when the registry cannot be asked now, or strangers have asked too much.
   */
  async open(digest: Digest, repositories: readonly string[]): Promise<PagedBlob | undefined> {
    for (const repository of repositories) {
      const blob = this.#current(keyOf({ repository, digest }));
      if (blob) return blob;
    }
    const { index, policy } = this.#options;
    for (const repository of repositories) {
      if (!policy.allows(repository)) continue;
      const blob = await this.#openIn({ repository, digest });
      if (blob === undefined) continue;
      index.learn(digest, repository);
      return blob;
    }
    return undefined;
  }

  /** Repositories to look in where none was named: those on the disk that have the digest. */
  async search(digest: Digest): Promise<readonly string[]> {
    const { search } = this.#options;
    return search !== undefined && this.#searches.tryTake() ? search(digest) : [];
  }

  async #openIn(ref: BlobRef): Promise<PagedBlob | undefined> {
    const key = keyOf(ref);
    const known = this.#current(key) ?? this.#opening.get(key);
    if (known !== undefined || this.#absent.has(key)) return known;
    const { pages, vainOpens } = this.#options;
    if (!vainOpens.tryTake()) throw new Error("too many unknown blobs are asked for");
    const opening = PagedBlob.open(ref, pages);
    this.#opening.set(key, opening);
    try {
      const blob = await opening;
      if (blob) {
        this.#open.set(key, blob);
        vainOpens.giveBack();
      } else this.#absent.set(key, true);
      return blob;
    } finally {
      this.#opening.delete(key);
    }
  }

  /** The open blob, unless the registry has to be asked again whether it is still there. */
  #current(key: string): PagedBlob | undefined {
    const blob = this.#open.get(key);
    if (blob?.isCurrent !== false) return blob;
    this.#open.delete(key);
    return undefined;
  }
}

function keyOf({ repository, digest }: BlobRef): string {
  return `${repository}@${digest}`;
}

/** What is known of where digests are: digest → repositories, most recently seen first. */
export class RepositoryIndex {
  readonly #repositories = new LRUCache<Digest, readonly string[]>({ max: maxDigests });
  readonly #path: string | undefined;
  readonly #onError: (err: Error) => void;
  readonly #stop = new AbortController();
  #isDirty = false;
  #saving: Promise<void> | undefined;

  /**
   * @param directory - Where to remember across restarts; undefined to forget.
   * @param onError - Called when the state cannot be read or written; the server continues without it.
   */
  constructor(directory: string | undefined, onError: (err: Error) => void) {
    this.#path = directory && join(directory, fileName);
    this.#onError = onError;
    if (directory) this.#load(directory);
    if (this.#path) this.#tidy(this.#path);
  }

  repositoriesOf(digest: Digest): readonly string[] {
    return this.#repositories.get(digest) ?? [];
  }

  /** The digest is in this repository. */
  learn(digest: Digest, repository: string): void {
    const known = this.#repositories.get(digest) ?? [];
    if (known[0] === repository) return;
    this.#repositories.set(
      digest,
      [repository, ...known.filter((other) => other !== repository)].slice(0, maxRepositories),
    );
    this.#isDirty = true;
    if (this.#path) this.#saving ??= this.#save(this.#path);
  }

  /** Write what is not written yet. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#saving;
  }

  #load(directory: string): void {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const stored: unknown = JSON.parse(readFileSync(this.#path!, "utf8"));
      for (const [key, value] of Object.entries(stored ?? {}).reverse()) {
        const digest = parseSha256(key);
        const repositories = Array.isArray(value) ? value.filter((r) => typeof r === "string" && isRepository(r)) : [];
        if (digest && repositories.length > 0) this.#repositories.set(digest, repositories.slice(0, maxRepositories));
      }
    } catch (err: unknown) {
      if ((err as NodeJS.ErrnoException).code !== "ENOENT") this.#onError(err as Error);
    }
  }

  #tidy(path: string): void {
    try {
      removeLeftovers(path);
    } catch (err: unknown) {
      this.#onError(err as Error);
    }
  }

  // Not in one go: a slow disk must not keep the server from answering.
  async #save(path: string): Promise<void> {
    while (this.#isDirty) {
      await delay(saveDelayMs, undefined, { signal: this.#stop.signal }).catch(() => undefined); // closed: at once
      this.#isDirty = false;
      const entries = JSON.stringify(Object.fromEntries(this.#repositories.entries()));
      await writeFileAtomic(path, entries, 0o600).catch(this.#onError);
    }
    this.#saving = undefined;
  }
}
