/**
 * How long blobs are, as the manifests say that have been served: for registries that do not say it with the blob.
 */
import { LRUCache } from "lru-cache";
import type { BlobRef } from "#blob/source.ts";
import type { Referred } from "#oci/manifest.ts";

const maxRemembered = 10_000;

/** Of one registry. A manifest is believed only for its own repository. */
export class BlobSizes {
  readonly #sizes = new LRUCache<string, number>({ max: maxRemembered });

  /** A manifest of this repository refers to these. */
  learn(repository: string, layers: readonly Referred[]): void {
    for (const { digest, sizeBytes } of layers) {
      this.#sizes.set(keyOf({ repository, digest }), sizeBytes);
    }
  }

  /** Undefined when no manifest has named it. */
  of(blob: BlobRef): number | undefined {
    return this.#sizes.get(keyOf(blob));
  }
}

function keyOf({ repository, digest }: BlobRef): string {
  return `${repository}@${digest}`;
}
