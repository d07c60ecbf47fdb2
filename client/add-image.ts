/**
 * Fetches an image into the cache ahead of its pullers: as a puller without a login of its own would get it.
 */
import type { Logger } from "pino";
import { reasonOf } from "#base/errors.ts";
import { forEachBounded } from "#base/limits.ts";
import { BlobCorrupt, BlobUnavailable, type SourceName } from "#blob/source.ts";
import { RegistryError, RegistryUnreachable } from "#oci/errors.ts";
import type { Referred } from "#oci/manifest.ts";
import { type Digest, parseSha256 } from "#oci/reference.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import { fetchIntoStore, type IntoStore } from "./fetch-ahead.ts";
import type { AddedImage, AddRequest } from "./http/admin-images.ts";
import { blobsOf } from "./image-blobs.ts";
import { placeOfImage } from "./image-place.ts";
import { type AddableManifests, type AddedManifest, addManifest, keepManifest } from "./manifests/add-manifest.ts";
import { digestName, repositoryKey, tagName } from "./manifests/manifest-names.ts";
import type { Puller } from "./registries/router.ts";
import type { Rights } from "./rights/rights.ts";

/** What adding uses of one registry. */
export interface AddableRegistry extends AddableManifests, Omit<IntoStore, "store"> {
  readonly registry: Pick<RegistryClient, "identityOf">;
  readonly rights: Rights;
}

export interface ImageAdderOptions {
  /** What is served at the moment. */
  readonly served: {
    readonly now: {
      /** By their names in the configuration. */
      readonly registries: ReadonlyMap<string, { readonly addable: AddableRegistry }>;
      /** The registry of names without one. */
      readonly default: string;
    };
  };
  readonly store: IntoStore["store"] & { readonly maxBytes: number };
  readonly log: Pick<Logger, "info">;
}

/** Blobs of one image at a time: pullers that wait for theirs come first. */
const blobsAtOnce = 2;
/** Images at a time. */
const maxAdding = 4;

export class ImageAdder {
  readonly #options: ImageAdderOptions;
  readonly #closing = new AbortController();
  readonly #adding = new Set<Promise<unknown>>();

  constructor(options: ImageAdderOptions) {
    this.#options = options;
  }

  /**
   * Fetch what is not cached of an image; resolves when all of it is.
   *
   * @throws RegistryError that says why not: no such image, refused, too large, no answer, too many at once.
   * @throws the signal's reason.
   */
  async add(request: AddRequest, signal: AbortSignal): Promise<AddedImage> {
    if (this.#adding.size >= maxAdding) {
      throw new RegistryError("TOOMANYREQUESTS", `${maxAdding} images are being added: try again when one is done`);
    }
    const adding = this.#add(request, AbortSignal.any([signal, this.#closing.signal]));
    this.#adding.add(adding);
    try {
      return await adding;
    } catch (err: unknown) {
      signal.throwIfAborted();
      if (!failures.some((kind) => err instanceof kind)) throw err;
      throw new RegistryError("UNAVAILABLE", reasonOf(err), { cause: err });
    } finally {
      this.#adding.delete(adding);
    }
  }

  /** Abort what runs, and wait for that. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#adding);
  }

  async #add({ image, platforms, onProgress }: AddRequest, signal: AbortSignal): Promise<AddedImage> {
    const startedMs = performance.now();
    const { served, store, log } = this.#options;
    const { registries, default: standard } = served.now;
    const { registry, repository, reference } = placeOfImage(image, {
      names: [...registries.keys()],
      default: standard,
    });
    const services = { ...registries.get(registry)!.addable, store };
    const puller = await anonymous(services.registry, signal);
    const key = repositoryKey(registry, repository);
    const manifests: AddedManifest[] = [];
    const ask = async (what: string) => {
      const manifest = await addManifest(services, { key, repository, reference: what, puller }, signal);
      manifests.push(manifest);
      return manifest;
    };
    const root = await ask(reference);
    const name = parseSha256(reference) ? digestName(key, root.digest) : tagName(key, reference);
    const blobs = await blobsOf(root, { name, platforms, ask });
    const progress = new Progress(name, blobs, onProgress);
    if (progress.totalBytes > store.maxBytes) throw tooLarge(name, progress.totalBytes, store.maxBytes);
    progress.tell();
    await forEachBounded(blobs, blobsAtOnce, async (blob) => {
      const { fetched, done } = progress.begin(blob);
      await addBlob(services, puller, { repository, digest: blob.digest }, fetched, signal);
      done();
    });
    for (const manifest of manifests) await keepManifest(services, manifest);
    const { totalBytes: sizeBytes, fetchedBytes } = progress;
    const ms = Math.round(performance.now() - startedMs);
    log.info({ image: name, digest: root.digest, bytes: sizeBytes, fetchedBytes, ms }, "image added to the cache");
    return { name, digest: root.digest, sizeBytes, blobs: blobs.length, fetchedBytes };
  }
}

/** What ends adding one image, and nothing else. */
const failures = [RegistryUnreachable, BlobUnavailable, BlobCorrupt, AggregateError];

/** A puller without a login: the client's own is used where it has one. */
async function anonymous(registry: Pick<RegistryClient, "identityOf">, signal: AbortSignal): Promise<Puller> {
  const auth = { kind: "puller", value: undefined } as const;
  const identity = await registry.identityOf(auth, signal);
  return { auth, identity: identity === "anonymous" ? undefined : identity };
}

async function addBlob(
  services: IntoStore,
  puller: Puller,
  blob: { readonly repository: string; readonly digest: Digest },
  onBytes: (source: SourceName, bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const outcome = await fetchIntoStore(services, puller, blob, signal, onBytes);
  if (outcome === "refused")
    throw new RegistryError("DENIED", `the registry refuses ${blob.digest} of ${blob.repository}`);
  if (outcome === "lost") {
    throw new RegistryError(
      "UNAVAILABLE",
      `${blob.digest} cannot be cached now: the disk is full, or other blobs are in use`,
    );
  }
}

function tooLarge(name: string, sizeBytes: number, maxBytes: number): RegistryError {
  const why = `it has ${sizeBytes} bytes, and the cache may have ${maxBytes}`;
  return new RegistryError("DENIED", `${name} does not fit: ${why}`, { status: 409 });
}

/** How far the blobs of one image have come. */
class Progress {
  /** As the manifests claim it. */
  readonly totalBytes: number;
  /** By source. */
  readonly fetchedBytes: Partial<Record<SourceName, number>> = {};
  readonly tell: () => void;
  #doneBytes = 0;
  #doneBlobs = 0;

  constructor(name: string, blobs: readonly Referred[], onProgress: AddRequest["onProgress"]) {
    const totalBytes = blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    this.totalBytes = totalBytes;
    this.tell = () => {
      const { fetchedBytes } = this;
      const doneBlobs = this.#doneBlobs;
      onProgress({ name, doneBytes: this.#doneBytes, totalBytes, doneBlobs, totalBlobs: blobs.length, fetchedBytes });
    };
  }

  /** Begin one blob. */
  begin({ sizeBytes }: Referred) {
    let ownBytes = 0;
    const add = (bytes: number) => {
      ownBytes += bytes;
      this.#doneBytes += bytes;
      this.tell();
    };
    return {
      fetched: (source: SourceName, bytes: number) => {
        if (source !== "store") this.fetchedBytes[source] = (this.fetchedBytes[source] ?? 0) + bytes;
        add(Math.min(bytes, sizeBytes - ownBytes));
      },
      done: () => {
        this.#doneBlobs += 1;
        add(sizeBytes - ownBytes);
      },
    };
  }
}
