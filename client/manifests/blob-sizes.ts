/**
 * How long blobs are, as the manifests say that have been served: for registries that do not say it with the blob.
 */
import { LRUCache } from "lru-cache";
import type { BlobRef } from "#blob/source.ts";
import type { Referred } from "#oci/manifest.ts";

const maxRemembered = 10_000;

/** Of one registry. A manifest is believed only for its own repository. */
export class BlobSizes {
  readonly #sizes = new LRUCache<string, Pick<Referred, "sizeBytes" | "mediaType" | "kind">>({ max: maxRemembered });

  /** A manifest of this repository refers to these. */
  learn(repository: string, layers: readonly Referred[]): void {
    for (const { digest, sizeBytes, mediaType, kind } of layers) {
      this.#sizes.set(keyOf({ repository, digest }), { sizeBytes, mediaType, kind });
    }
  }

  /** Undefined when no manifest has named it. */
  of(blob: BlobRef): number | undefined {
    return this.#sizes.get(keyOf(blob))?.sizeBytes;
  }

  /** Of a manifest that an index lists, what can be known without asking. */
  manifest(blob: BlobRef): { readonly sizeBytes: number; readonly mediaType: string } | undefined {
    const listed = this.#sizes.get(keyOf(blob));
    return listed?.kind === "manifest" ? listed : undefined;
  }
}

function keyOf({ repository, digest }: BlobRef): string {
  return `${repository}@${digest}`;
}
