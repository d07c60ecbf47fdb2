/**
 * One fetch per registry and blob: who wants a blob that is being fetched follows that fetch.
 */
import { raceAbort } from "#base/waiting.ts";
import { openVerified } from "#blob/verify.ts";
import { type RangeRequest, resolveRange } from "#oci/body-headers.ts";
import type { Digest } from "#oci/reference.ts";
import type { BlobStorePort } from "#store/store-port.ts";
import type { FetchReader, SharedFetchOptions } from "./fetch-reader.ts";
import { type FetchingRegistry, FetchScopes } from "./fetch-scopes.ts";
import type { FetchLog } from "./fetch-writer.ts";
import { type FetchedBlob, type Fetcher, type FetchRequest, partOf } from "./fetcher.ts";
import { ScatteredReads } from "./scattered-reads.ts";
import { SharedFetch } from "./shared-fetch.ts";

/** A running fetch, for those who watch. */
export interface FetchProgress {
  readonly digest: Digest;
  /** Undefined until a source has answered. */
  readonly sizeBytes: number | undefined;
  readonly releasedBytes: number;
  readonly readers: number;
}

/** A range that begins farther ahead of what is there than both is not worth waiting for: one that ends before the blob … */
const boundedReach = { bytes: 8 * 1024 * 1024, seconds: 1 };
/** … and one to its end. */
const openReach = { bytes: 64 * 1024 * 1024, seconds: 2 };

/** All running fetches of one store, or those of one registry (`of`). */
export class SharedFetches implements Fetcher {
  readonly #store: BlobStorePort;
  readonly #log: FetchLog;
  readonly #count: { set(running: number): void };
  readonly #options: SharedFetchOptions;
  readonly #scopes: FetchScopes;
  readonly #registry: FetchingRegistry | undefined;
  /** Those of one registry each. */
  readonly #inside = new Set<SharedFetches>();
  /** The fetch that may be joined, or waited for, per digest. */
  readonly #running = new Map<Digest, SharedFetch>();
  /** Made when a range is first read by itself. */
  #scattered: ScatteredReads | undefined;
  /** Those whose readers are still busy as well. */
  readonly #all = new Map<SharedFetch, Promise<void>>();

  /**
   * @param count - Set to the number of fetches that run, those of all registries, whenever that changes.
   * @param scope - Given by `of`.
   */
  constructor(
    store: BlobStorePort,
    log: FetchLog,
    count: { set(running: number): void } = { set: () => {} },
    options: SharedFetchOptions = {},
    scope?: { readonly scopes: FetchScopes; readonly registry: FetchingRegistry },
  ) {
    this.#store = store;
    this.#log = log;
    this.#count = count;
    this.#options = options;
    this.#scopes = scope?.scopes ?? new FetchScopes();
    this.#registry = scope?.registry;
  }

  /**
   * Those of one registry, closed with these: pullers of another do not follow them, as it must not set their size and
   * pace. To be called before the first read.
   */
  of(registry: FetchingRegistry): SharedFetches {
    const scope = { scopes: this.#scopes, registry };
    const fetches = new SharedFetches(this.#store, this.#log, this.#count, this.#options, scope);
    this.#scopes.registries.add(registry.registry);
    this.#inside.add(fetches);
    return fetches;
  }

  /** Forget those of a registry that is not served any more, once the last fetch that runs has ended. */
  async leave(fetches: SharedFetches): Promise<void> {
    while (fetches.#all.size > 0) await Promise.allSettled(fetches.#all.values());
    await fetches.close();
    this.#inside.delete(fetches);
  }

  /** Whether what the store has may be there because of another registry. */
  get areOthers(): boolean {
    return this.#scopes.registries.size > 1;
  }

  /**
   * By following the fetch that runs, else by starting one from the puller's sources, which stays others' to follow. The
   * last one to leave cancels the fetch; its bytes stay for the next.
   *
   * When a fetch fails, it continues from the same byte with the sources of the next reader. So what is thrown here, or
   * by the chunks, is what the puller's own sources said, never what the upstream said to another's credential. With a
   * partial on disk the size is known before a source is asked: a refusal then comes from the chunks, as BlobUnavailable.
   *
   * A range to the blob's end (`bytes=k-`) is a reader of the whole blob, unless it begins far ahead of what is there. One
   * that ends before the blob follows a fetch that is about to reach it, if that brings pieces that can be believed. Every
   * other range is read by itself where each piece is verified, and else the upstream's.
   */
  async fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchedBlob | undefined> {
    const { blob, sources, range, events } = request;
    if (range) return (await this.#shareRange(request, range, signal)) ?? this.#readPart(request, range, signal);
    const joined = await this.#join(request, signal);
    if (joined) return joined.fetch.readBy(joined.reader, undefined, signal);
    const read = await openVerified(sources, blob, signal, events);
    return { ...read, isFollower: false, range: { start: 0, end: read.sizeBytes } };
  }

  async ended(digest: Digest, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await raceAbort(this.#running.get(digest)?.ended ?? Promise.resolve(), signal);
  }

  /** The fetches that run. */
  *progress(): Generator<FetchProgress> {
    for (const { digest, inFlight, readers } of this.#running.values()) {
      const { sizeBytes, releasedBytes = 0 } = inFlight ?? {};
      yield { digest, sizeBytes, releasedBytes, readers: readers.size };
    }
    for (const fetches of this.#inside) yield* fetches.progress();
  }

  /** Break off all fetches; resolves when their files are closed. What is there stays for the next start. */
  async close(): Promise<void> {
    for (const fetch of this.#all.keys()) fetch.cancel();
    this.#scattered?.close();
    await Promise.all([...this.#all.values(), ...Array.from(this.#inside, (fetches) => fetches.close())]);
  }

  /** As a reader of the fetch of the whole blob; undefined when it has to be read by itself. */
  async #shareRange(request: FetchRequest, range: RangeRequest, signal: AbortSignal): Promise<FetchedBlob | undefined> {
    if (!request.isLastResort) {
      if (!isToEnd(range)) return this.#followRange(request, range, signal);
      if (!this.#reachesToEnd(request, range.start)) return undefined;
    }
    const joined = await this.#join(request, signal, "start" in range ? range.start : 0);
    return joined && readRange(joined, range, signal);
  }

  /** By itself; when more than half of the blob is asked for so, all of it is fetched. */
  #readPart(request: FetchRequest, range: RangeRequest, signal: AbortSignal): Promise<FetchedBlob | undefined> {
    const { blob, sources, mayUseCached } = request;
    this.#scattered ??= new ScatteredReads(this.#store);
    return this.#scattered.read(request, range, signal, () => {
      if (this.#running.has(blob.digest)) return;
      const { fetch, reader } = this.#take({ blob, sources, mayUseCached }, new AbortController().signal);
      fetch.isWanted = true;
      [reader.position, reader.end] = [Number.POSITIVE_INFINITY, 0]; // it leaves as soon as the fetch begins
      void fetch.ended.then(reader.leave);
    });
  }

  /** Follow the fetch that runs for a part, if it will be there soon and may be given out as it comes. */
  #followRange(request: FetchRequest, range: RangeRequest, signal: AbortSignal): FetchedBlob | undefined {
    const fetch = this.#running.get(request.blob.digest);
    const inFlight = fetch?.inFlight;
    const part = inFlight && resolveRange(range, inFlight.sizeBytes);
    if (!fetch || !part || !fetch.admits(part.start) || signal.aborted) return undefined;
    const isNear = inFlight.reaches(part.start, boundedReach.bytes, boundedReach.seconds);
    if (!isNear || !inFlight.mayRelease(part.start, part.end)) return undefined;
    return fetch.readBy(fetch.join(request, signal), part, signal);
  }

  #reachesToEnd(request: FetchRequest, start: number): boolean {
    const { digest } = request.blob;
    const { inFlight } = this.#running.get(digest) ?? {};
    if (inFlight) return inFlight.reaches(start, openReach.bytes, openReach.seconds);
    const onDisk = this.#storeFor(request).partial(digest)?.writtenBytes ?? 0;
    return start <= onDisk + openReach.bytes;
  }

  /** Take part in the fetch of this blob from `start` on, once its size is known. Undefined when the puller is on its own. */
  async #join(request: FetchRequest, signal: AbortSignal, start = 0): Promise<Joined | undefined> {
    const { digest } = request.blob;
    for (let fetch = this.#running.get(digest); fetch && !fetch.admits(start); fetch = this.#running.get(digest)) {
      if (fetch.readers.size === 0 && fetch.arrivals.isSilent(0)) fetch.cancel(); // begun anew, from where it is
      if (!fetch.isEnding) return undefined;
      await raceAbort(fetch.ended, signal);
    }
    signal.throwIfAborted();
    const joined = this.#take(request, signal);
    try {
      return (await joined.reader.isShared.promise) ? joined : undefined;
    } catch (err: unknown) {
      joined.reader.leave();
      throw err;
    }
  }

  /** Become a reader of the fetch that runs, or of a new one. */
  #take(request: FetchRequest, signal: AbortSignal): Joined {
    const fetch = this.#running.get(request.blob.digest) ?? this.#create(request);
    const reader = fetch.join(this.#scattered?.completing(request) ?? request, signal);
    if (!this.#all.has(fetch)) {
      const running = fetch.run().finally(() => this.#all.delete(fetch));
      this.#all.set(fetch, running);
    }
    return { fetch, reader };
  }

  #create(request: FetchRequest): SharedFetch {
    const { digest } = request.blob;
    const fetch = new SharedFetch(this.#storeFor(request), digest, this.#log, this.#options);
    this.#running.set(digest, fetch);
    this.#count.set(++this.#scopes.running);
    void fetch.ended.then(() => {
      this.#running.delete(digest);
      this.#scattered?.forget(digest);
      this.#count.set(--this.#scopes.running);
    });
    return fetch;
  }

  /** The store as this request may use it. */
  #storeFor({ mayUseCached }: FetchRequest): BlobStorePort {
    if (!this.areOthers && mayUseCached !== false) return this.#store;
    const { authorize = "upstream", registry = "" } = this.#registry ?? {};
    return this.#scopes.storeFor(this.#store, registry, mayUseCached ?? authorize === "upstream");
  }
}

/** A reader of a fetch whose size is known. */
interface Joined {
  readonly fetch: SharedFetch;
  readonly reader: FetchReader;
}

function isToEnd(range: RangeRequest): range is { start: number; end: undefined } {
  return "start" in range && range.end === undefined;
}

function readRange({ fetch, reader }: Joined, range: RangeRequest, signal: AbortSignal): FetchedBlob {
  return fetch.readBy(reader, partOf(range, fetch.inFlight!.sizeBytes), signal);
}
