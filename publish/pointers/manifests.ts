/**
 * Manifests as objects: read once from the registry, hashed, and kept in memory while they are asked for.
 */
import { LRUCache } from "lru-cache";
import type { TokenBucket } from "#base/limits.ts";
import type { SegmentSize } from "#blob/names.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { Manifest } from "#oci/manifest-reader.ts";
import type { Digest } from "#oci/reference.ts";
import type { RepositoryIndex } from "../blob-locator.ts";
import { type PublishPolicy, revalidateAfterMs } from "../range-reader.ts";
import { HeldObject } from "./held-object.ts";
import type { ImageRegistry } from "./image-registry.ts";

/** All together; those that were used last stay. */
const memoryBytes = 32 * 1024 * 1024;
/** What one takes up besides its bytes. */
const entryBytes = 512;
/** How long it counts that there is none: as long as the negative answer is fresh on NDN. */
const absentMs = 1_000;
const maxAbsent = 10_000;

/** What manifests are read with. */
export interface ManifestsOptions {
  readonly prefix: Name;
  readonly policy: PublishPolicy;
  readonly registry: Pick<ImageRegistry, "digestOf" | "manifest">;
  /** Learns where manifests are, as it does for blobs. */
  readonly index: RepositoryIndex;
  /** How many reads that come to nothing strangers can cause, of blobs and manifests together. */
  readonly vainOpens: TokenBucket;
}

/** A manifest, and when the registry said that it is there, in milliseconds since 1970. */
export interface KeptManifest extends Manifest {
  readonly asOfMs: number;
}

/** The manifests of one registry. What is kept counts for 5 minutes; then the registry is asked again. */
export class Manifests {
  readonly #options: ManifestsOptions;
  readonly #kept = new LRUCache<string, KeptManifest>({
    maxSize: memoryBytes,
    sizeCalculation: ({ bytes }) => bytes.length + entryBytes,
    ttl: revalidateAfterMs,
    noDeleteOnStaleGet: true, // a tag may confirm it
  });
  readonly #reading = new Map<string, Promise<KeptManifest | undefined>>();
  readonly #absent = new LRUCache<string, true>({ max: maxAbsent, ttl: absentMs });

  constructor(options: ManifestsOptions) {
    this.#options = options;
  }

  /** Bytes of all that are kept. */
  get sizeBytes(): number {
    return this.#kept.calculatedSize;
  }

  /**
   * The manifest, kept or read.
   *
   * @returns undefined when the registry says that there is none, or that it is not for everyone.
   * @throws Error when the registry cannot be asked now, or strangers have asked too much.
   */
  async read(repository: string, digest: Digest): Promise<KeptManifest | undefined> {
    const key = keyOf(repository, digest);
    const known = this.#kept.get(key) ?? this.#reading.get(key);
    if (known !== undefined || this.#absent.has(key)) return known;
    if (!this.#options.vainOpens.tryTake()) throw new Error("too many unknown manifests are asked for");
    const asOfMs = Date.now();
    const reading = this.#ask(repository, digest).then((manifest) => {
      if (manifest === undefined) this.#absent.set(key, true);
      else this.#options.vainOpens.giveBack();
      return manifest && this.keep(repository, manifest, asOfMs);
    });
    this.#reading.set(key, reading);
    return reading.finally(() => this.#reading.delete(key));
  }

  /** From the registry: one that was kept too long need not be read again, only be there still. */
  async #ask(repository: string, digest: Digest): Promise<Manifest | undefined> {
    const { registry } = this.#options;
    const kept = this.#kept.get(keyOf(repository, digest), { allowStale: true });
    const found = kept ? await registry.digestOf(repository, digest) : "unsaid";
    if (found === undefined) return undefined;
    return kept && found === digest ? kept : registry.manifest(repository, digest);
  }

  /** The manifest that a tag was found to mean just now; read if it is not kept. @throws as `read` */
  async confirmed(repository: string, digest: Digest, asOfMs: number): Promise<KeptManifest | undefined> {
    const kept = this.#kept.get(keyOf(repository, digest), { allowStale: true });
    return kept ? this.keep(repository, kept, asOfMs) : this.read(repository, digest);
  }

  /** Keep a manifest that the registry has sent. */
  keep(repository: string, { digest, mediaType, bytes }: Manifest, asOfMs: number): KeptManifest {
    const kept = { digest, mediaType, bytes, asOfMs };
    this.#kept.set(keyOf(repository, digest), kept);
    this.#options.index.learn(digest, repository);
    return kept;
  }

  /** The manifest in segments, if one of the repositories is known to have it; without any I/O. */
  openKept(digest: Digest, size: SegmentSize, repositories: readonly string[]): HeldObject | undefined {
    const { policy } = this.#options;
    const found = repositories.find((one) => policy.allows(one) && this.#kept.has(keyOf(one, digest)));
    return found === undefined ? undefined : this.#segmentsOf(found, digest, size);
  }

  /** The manifest in segments, from the first of the repositories that has it. @throws as `read` */
  async open(digest: Digest, size: SegmentSize, repositories: readonly string[]): Promise<HeldObject | undefined> {
    for (const repository of repositories) {
      if (!this.#options.policy.allows(repository)) continue;
      if (await this.read(repository, digest)) return this.#segmentsOf(repository, digest, size);
    }
    return undefined;
  }

  #segmentsOf(repository: string, digest: Digest, size: SegmentSize): HeldObject | undefined {
    const bytes = () => this.#kept.get(keyOf(repository, digest))?.bytes;
    const sizeBytes = bytes()?.length;
    return sizeBytes === undefined
      ? undefined
      : new HeldObject(this.#options.prefix, digest, size, { sizeBytes, bytes });
  }
}

function keyOf(repository: string, digest: Digest): string {
  return `${repository}@${digest}`;
}
