/**
 * Reads of parts for one puller each, where every piece is verified. More than half of a blob asked for, it is wanted
 * whole: SOCI pulls a layer in parts of 8 MiB, while stargz reads a few files of it.
 */
import { LRUCache } from "lru-cache";
import type { RangeRequest } from "#oci/body-headers.ts";
import type { Digest } from "#oci/reference.ts";
import type { BlobStorePort, Spool } from "#store/store-port.ts";
import { type FetchedBlob, type FetchRequest, openPart } from "./fetcher.ts";
import { ScatteredParts } from "./scattered-parts.ts";

/** Blobs of which parts are kept; a file each. */
const maxBlobs = 16;
/** Parts that no one has added to for this long are given up. */
const keptMs = 60_000;

interface Kept {
  readonly parts: ScatteredParts;
  readonly spool: Spool;
}

/** The parts of the blobs of one registry. */
export class ScatteredReads {
  readonly #store: Pick<BlobStorePort, "spool">;
  readonly #kept = new LRUCache<Digest, Kept>({
    max: maxBlobs,
    ttl: keptMs,
    ttlAutopurge: true,
    updateAgeOnGet: true,
    dispose: ({ spool }) => spool.close(),
  });

  #isClosed = false;

  constructor(store: Pick<BlobStorePort, "spool">) {
    this.#store = store;
  }

  /** Read a part; undefined when it is the upstream's to answer. @param wholeWanted - Called when more than half was asked for. */
  async read(
    request: FetchRequest,
    range: RangeRequest,
    signal: AbortSignal,
    wholeWanted: () => void,
  ): Promise<FetchedBlob | undefined> {
    const read = await openPart(request, range, signal);
    const parts = read && (await this.#partsOf(request.blob.digest, read.sizeBytes));
    if (!parts) return read;
    const chunks = parts.keep(read, signal);
    if (parts.isMostlyAsked && !signal.aborted) wholeWanted();
    return { ...read, chunks };
  }

  /** The request, its sources asked only for what is not kept; the caller forgets the parts when it is done. */
  completing(request: FetchRequest): FetchRequest {
    const { digest } = request.blob;
    const kept = this.#kept.get(digest);
    if (!kept) return request;
    this.#kept.set(digest, kept, { ttl: 0 }); // until `forget`
    return {
      ...request,
      sources: request.sources.map((source) => (source.isVerified ? kept.parts.source(source) : source)),
    };
  }

  /** The blob is whole, or has failed: its parts are of no more use. */
  forget(digest: Digest): void {
    this.#kept.delete(digest);
  }

  close(): void {
    this.#isClosed = true;
    this.#kept.clear();
  }

  async #partsOf(digest: Digest, sizeBytes: number): Promise<ScatteredParts | undefined> {
    const known = this.#kept.get(digest);
    if (known) return known.parts.sizeBytes === sizeBytes ? known.parts : undefined;
    const spool = await this.#store.spool();
    const meanwhile = this.#kept.get(digest);
    if (!spool || meanwhile || this.#isClosed) {
      spool?.close();
      return meanwhile?.parts;
    }
    const parts = new ScatteredParts(sizeBytes, spool);
    this.#kept.set(digest, { parts, spool });
    return parts;
  }
}
