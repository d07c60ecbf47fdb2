/**
 * What pointers point at, manifests and snapshots: from the cache, out of the pointer itself, or over NDN; always the
 * bytes of its digest.
 */
import { hash } from "node:crypto";
import type { NamedObject } from "#blob/named-object.ts";
import { BlobUnavailable } from "#blob/source.ts";
import { type Digest, digestOfHash } from "#oci/reference.ts";
import type { SignedObjects } from "#uplinks/signed-objects.ts";

/** Where bytes are kept by digest, see `ManifestContents`. */
export interface Contents {
  has(digest: Digest): boolean;
  get(digest: Digest): Promise<Buffer | undefined>;
  put(digest: Digest, bytes: Buffer): Promise<boolean>;
}

/** An object, and its bytes if they have come with its pointer. */
export interface PointedObject extends NamedObject {
  readonly inline?: Buffer | undefined;
}

/** Reads them. */
export class PointedObjects {
  readonly #objects: SignedObjects;
  readonly #contents: Contents;

  constructor(objects: SignedObjects, contents: Contents) {
    this.#objects = objects;
    this.#contents = contents;
  }

  /** The bytes, which are cached then if they can be. @throws BlobUnavailable; the signal's reason */
  async read(object: PointedObject, signal: AbortSignal): Promise<Buffer> {
    const { digest } = object;
    const cached = await this.#contents.get(digest);
    if (cached) return cached;
    const bytes = object.inline ?? (await this.#collect(object, signal));
    if (digestOfHash(hash("sha256", bytes, "buffer")) !== digest)
      throw new BlobUnavailable(`what came over NDN for ${digest} has another digest`);
    await this.#contents.put(digest, bytes);
    return bytes;
  }

  async #collect(object: NamedObject, signal: AbortSignal): Promise<Buffer> {
    const read = this.#objects.read(object, signal);
    if (!read) throw new BlobUnavailable("no uplink is up");
    const pieces: Buffer[] = [];
    let sizeBytes = 0;
    for await (const piece of read.chunks) {
      sizeBytes += piece.length;
      if (sizeBytes > object.sizeBytes) break; // the digest will say so
      pieces.push(Buffer.from(piece)); // valid until the next one
    }
    return Buffer.concat(pieces);
  }
}
