/**
 * Snapshots: lists as they were at a time, each an object under its digest (PROTOCOL.md § Snapshots). Only this server
 * has them, and only in memory: those who do not get one ask for its pointer again.
 */
import { hash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { SegmentSize } from "#blob/names.ts";
import { maxSnapshotBytes } from "#blob/pointer.ts";
import type { Name } from "#ndn/packet/name.ts";
import { type Digest, digestOfHash } from "#oci/reference.ts";
import { HeldObject } from "./held-object.ts";

/** All together; those that were used last stay. */
const memoryBytes = 64 * 1024 * 1024;
/** Ten minutes after its last pointer, which caches may hand out for a while. */
const keptMs = 12 * 60_000;

/** The snapshots of one server. */
export class Snapshots {
  readonly #prefix: Name;
  readonly #kept = new LRUCache<Digest, Buffer>({
    maxSize: memoryBytes,
    sizeCalculation: (bytes) => bytes.length + 1,
    ttl: keptMs,
  });

  constructor(prefix: Name) {
    this.#prefix = prefix;
  }

  /** Bytes of all of them. */
  get sizeBytes(): number {
    return this.#kept.calculatedSize;
  }

  /** Keep one, from now on for its time. @throws Error when it is too large */
  keep(bytes: Buffer): Digest {
    if (bytes.length > maxSnapshotBytes) throw new Error(`a snapshot would have ${bytes.length} bytes`);
    const digest = digestOfHash(hash("sha256", bytes, "buffer"));
    this.#kept.set(digest, bytes);
    return digest;
  }

  /** Keep one for its time once more; false when it is gone. */
  renew(digest: Digest): boolean {
    const bytes = this.#kept.get(digest);
    if (bytes) this.#kept.set(digest, bytes);
    return bytes !== undefined;
  }

  has(digest: Digest): boolean {
    return this.#kept.has(digest);
  }

  /** The snapshot in segments; undefined when there is none. */
  open(digest: Digest, size: SegmentSize): HeldObject | undefined {
    const sizeBytes = this.#kept.get(digest)?.length;
    if (sizeBytes === undefined) return undefined;
    return new HeldObject(this.#prefix, digest, size, { sizeBytes, bytes: () => this.#kept.get(digest) });
  }
}
