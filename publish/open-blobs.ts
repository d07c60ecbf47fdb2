/**
 * The blobs that are in use, by repository and digest. Opening asks the registry, so this is where the registry is
 * protected: same questions are one question, and strangers can only cause so many.
 */
import { LRUCache } from "lru-cache";
import { TokenBucket } from "#base/token-bucket.ts";
import type { BlobRef } from "#blob/source.ts";
import type { Digest } from "#oci/digest.ts";
import { type BlobPagesContext, PagedBlob } from "./paged-blob.ts";

const maxOpen = 4096;
const opensPerSecond = 100;
const opensAtOnce = 500;
/** How long "there is no such blob" is believed: as long as the negative answer is fresh on NDN. */
const absentTtlMs = 1_000;
const maxAbsent = 10_000;

/** Opens blobs and keeps them open, as long as the registry's word is believed. */
export class OpenBlobs {
  private readonly context: BlobPagesContext;
  private readonly open = new LRUCache<string, PagedBlob>({ max: maxOpen });
  private readonly opening = new Map<string, Promise<PagedBlob | undefined>>();
  private readonly absent = new LRUCache<string, true>({ max: maxAbsent, ttl: absentTtlMs });
  private readonly limit = new TokenBucket(opensPerSecond, opensAtOnce);

  constructor(context: BlobPagesContext) {
    this.context = context;
  }

  /** One of these repositories in which the blob is open already. */
  alreadyOpen(digest: Digest, repositories: readonly string[]): PagedBlob | undefined {
    for (const repository of repositories) {
      const blob = this.current(keyOf({ repository, digest }));
      if (blob) return blob;
    }
    return undefined;
  }

  /**
   * Open a blob.
   * @returns undefined when the registry does not have it for us.
   * @throws Error when the registry cannot be asked now, or strangers have asked too much.
   */
  async get(ref: BlobRef): Promise<PagedBlob | undefined> {
    const key = keyOf(ref);
    const known = this.current(key) ?? this.opening.get(key);
    if (known !== undefined || this.absent.has(key)) return known;
    if (!this.limit.tryTake()) throw new Error("too many unknown blobs are asked for");
    const opening = this.ask(key, ref);
    this.opening.set(key, opening);
    return opening.finally(() => this.opening.delete(key));
  }

  /** The open blob, unless the registry has to be asked again whether it is still there. */
  private current(key: string): PagedBlob | undefined {
    const blob = this.open.get(key);
    if (blob?.isCurrent !== false) return blob;
    this.open.delete(key);
    return undefined;
  }

  private async ask(key: string, ref: BlobRef): Promise<PagedBlob | undefined> {
    const blob = await PagedBlob.open(ref, this.context);
    if (blob) this.open.set(key, blob);
    else this.absent.set(key, true);
    return blob;
  }
}

function keyOf({ repository, digest }: BlobRef): string {
  return `${repository}@${digest}`;
}
