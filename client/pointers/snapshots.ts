/**
 * Snapshots of lists, read and remembered: that of the newest pointer, and those of before for the pages that belong to
 * them.
 */
import { LRUCache } from "lru-cache";
import { z } from "zod";
import type { Pointer } from "#blob/pointer.ts";
import type { PointerTarget } from "#blob/pointer-names.ts";
import { decodeCatalog, decodeTagList } from "#blob/snapshots.ts";
import { BlobUnavailable } from "#blob/source.ts";
import type { Digest } from "#oci/reference.ts";
import { NoAnswer } from "#uplinks/signed-objects.ts";
import type { PointedObjects } from "./pointed-objects.ts";
import type { PointerReader } from "./pointer-reader.ts";

/** What lists something. */
export type ListTarget = Exclude<PointerTarget, { kind: "tag" | "manifest" }>;

/** A descriptor in an index of referrers; what else it has stays as it is. */
export type Referrer = z.infer<typeof referrer>;

/** A list at one moment. */
export interface Snapshot {
  readonly digest: Digest;
  /** Names of tags or repositories, sorted by their bytes; of referrers there are none. */
  readonly names: readonly string[];
  readonly referrers: readonly Referrer[];
  /** When its pointer was believed last, in milliseconds since 1970. */
  readonly seenMs: number;
  /** Whether no one has answered just now. */
  readonly isStale: boolean;
}

export interface SnapshotOptions {
  readonly pointers: Pick<PointerReader, "read" | "readAgain">;
  readonly objects: PointedObjects;
  /** How long a list is served after it was believed last while no one answers. */
  readonly staleMs: number;
}

type Decoded = Pick<Snapshot, "digest" | "names" | "referrers">;

const referrer = z.looseObject({ mediaType: z.string(), digest: z.string(), artifactType: z.string().optional() });
const referrersIndex = z.object({ manifests: z.array(referrer) });
const rememberedBytes = 64 * 1024 * 1024;
const maxRemembered = 1_000;

/** Of one registry. */
export class Snapshots {
  readonly #options: SnapshotOptions;
  readonly #decoded = new LRUCache<string, Decoded>({ max: maxRemembered, maxSize: rememberedBytes });
  readonly #newest = new LRUCache<string, { readonly digest: Digest; readonly seenMs: number }>({ max: maxRemembered });

  constructor(options: SnapshotOptions) {
    this.#options = options;
  }

  /**
   * What the list has now, or while no one answers what it had lately.
   *
   * @param of - The snapshot that a page before this one was cut from.
   * @returns Undefined when the server says that there is none.
   * @throws NoAnswer, BlobUnavailable; the signal's reason
   */
  async read(target: ListTarget, of: Digest | undefined, signal: AbortSignal): Promise<Snapshot | undefined> {
    const key = JSON.stringify(target);
    const before = of && this.#decoded.get(key + of);
    if (before) return { ...before, seenMs: Date.now(), isStale: false };
    try {
      const now = await this.#readNow(key, target, signal);
      if (now) this.#newest.set(key, { digest: now.digest, seenMs: Date.now() });
      else this.#newest.delete(key);
      return now && { ...now, seenMs: Date.now(), isStale: false };
    } catch (err: unknown) {
      const stale = err instanceof NoAnswer || err instanceof BlobUnavailable ? this.#stale(key) : undefined;
      if (!stale) throw err;
      return stale;
    }
  }

  async #readNow(key: string, target: ListTarget, signal: AbortSignal): Promise<Decoded | undefined> {
    const { pointers } = this.#options;
    const pointer = await pointers.read(target, signal);
    if (!pointer) return undefined;
    try {
      return await this.#readBy(key, target, pointer, signal);
    } catch (err: unknown) {
      if (!(err instanceof BlobUnavailable)) throw err;
      const another = await pointers.readAgain(target, signal); // the server that made it may be gone
      return another && this.#readBy(key, target, another, signal);
    }
  }

  async #readBy(key: string, target: ListTarget, pointer: Pointer, signal: AbortSignal): Promise<Decoded> {
    const { digest } = pointer;
    const known = this.#decoded.get(key + digest);
    if (known) return known;
    const repository = target.kind === "catalog" ? undefined : target.repository;
    const bytes = await this.#options.objects.read({ ...pointer, repository }, signal);
    const list = decode(target, bytes);
    if (!list) throw new NoAnswer(`the snapshot ${digest} is none of what was asked for`);
    const decoded = { digest, names: [], referrers: [], ...list };
    this.#decoded.set(key + digest, decoded, { size: Math.max(1, bytes.length) });
    return decoded;
  }

  #stale(key: string): Snapshot | undefined {
    const newest = this.#newest.get(key);
    if (!newest || Date.now() - newest.seenMs > this.#options.staleMs) return undefined;
    const decoded = this.#decoded.get(key + newest.digest);
    return decoded && { ...decoded, seenMs: newest.seenMs, isStale: true };
  }
}

function decode(target: ListTarget, bytes: Buffer): Partial<Decoded> | undefined {
  if (target.kind === "tags") {
    const tags = decodeTagList(target.repository, bytes);
    return tags && { names: tags.map(({ name }) => name) };
  }
  if (target.kind === "catalog") {
    const names = decodeCatalog(bytes);
    return names && { names };
  }
  const { data } = referrersIndex.safeParse(parseJson(bytes));
  return data && { referrers: data.manifests };
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}
