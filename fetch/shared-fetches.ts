/**
 * One fetch per registry and blob: who wants a blob that is being fetched follows that fetch.
 */
import { raceAbort } from "#base/waiting.ts";
import type { ReadEvents } from "#blob/fallback.ts";
import type { BlobRef, BlobSource, SourceName } from "#blob/source.ts";
import { openVerified } from "#blob/verify.ts";
import type { Digest } from "#oci/digest.ts";
import { type RangeRequest, resolveRange } from "#oci/range.ts";
import type { BlobStorePort } from "#store/store-port.ts";
import type { FetchLog } from "./fetch-file.ts";
import type { FetchReader } from "./fetch-reader.ts";
import { type FetchingRegistry, FetchScopes } from "./fetch-scopes.ts";
import type { FetchedBlob, Fetcher, FetchRequest } from "./fetcher.ts";
import type { InFlightBlob } from "./in-flight-blob.ts";
import { SharedFetch } from "./shared-fetch.ts";

/** A running fetch, for those who watch. */
export interface FetchProgress {
  readonly digest: Digest;
  /** Undefined until a source has answered. */
  readonly sizeBytes: number | undefined;
  readonly releasedBytes: number;
  readonly readers: number;
}

/** A range that begins this far ahead of what is there is not worth waiting for. */
const aheadBytes = 8 * 1024 * 1024;

/** How fetches are shared. */
export interface SharedFetchOptions {
  /** How long the others wait for a reader that holds them up after the disk has failed. @defaultValue 15000 */
  readonly slowReaderBudgetMs?: number | undefined;
}

/** All running fetches of one store, or those of one registry (`of`). */
export class SharedFetches implements Fetcher {
  readonly #store: BlobStorePort;
  readonly #log: FetchLog;
  readonly #onCount: (running: number) => void;
  readonly #options: SharedFetchOptions;
  readonly #scopes: FetchScopes;
  readonly #registry: FetchingRegistry | undefined;
  /** Those of one registry each. */
  readonly #inside: SharedFetches[] = [];
  /** The fetch that may be joined, or waited for, per digest. */
  readonly #running = new Map<Digest, SharedFetch>();
  /** Those whose readers are still busy as well. */
  readonly #all = new Map<SharedFetch, Promise<void>>();

  /**
   * @param onCount - Told how many fetches run whenever that changes.
   * @param scope - Given by `of`.
   */
  constructor(
    store: BlobStorePort,
    log: FetchLog,
    onCount: (running: number) => void = () => {},
    options: SharedFetchOptions = {},
    scope?: { readonly scopes: FetchScopes; readonly registry: FetchingRegistry },
  ) {
    this.#store = store;
    this.#log = log;
    this.#onCount = onCount;
    this.#options = options;
    this.#scopes = scope?.scopes ?? new FetchScopes();
    this.#registry = scope?.registry;
  }

  /**
   * Those of one registry, closed with these: pullers of another do not follow them, as it must not set their size and
   * pace. To be called once for each registry, before the first read.
   */
  of(registry: FetchingRegistry): SharedFetches {
    const onCount = () => this.#onCount([...this.progress()].length);
    const scope = { scopes: this.#scopes, registry };
    const fetches = new SharedFetches(this.#store, this.#log, onCount, this.#options, scope);
    this.#scopes.add(registry);
    this.#inside.push(fetches);
    return fetches;
  }

  /** Whether what the store has may be there because of another registry. */
  get areOthers(): boolean {
    return this.#scopes.areSeveral;
  }

  /**
   * By following the fetch that runs, else by starting one from the puller's sources, which stays others' to follow. The
   * last one to leave cancels the fetch; its bytes stay for the next.
   *
   * When a fetch fails, it continues from the same byte with the sources of the next reader. So what is thrown here, or
   * by the chunks, is what the puller's own sources said, never what the upstream said to another's credential. With a
   * partial on disk the size is known before a source is asked: a refusal then comes from the chunks, as BlobUnavailable.
   *
   * A range starts a fetch only where each piece is verified.
   */
  async fetch({ blob, sources, range, events, mayUseCached }: FetchRequest, signal: AbortSignal) {
    if (!range) return this.read(blob, sources, signal, events, mayUseCached);
    const joined = this.joinRange(blob.digest, range, signal);
    if (joined || !sources[0]?.isVerified) return joined;
    return this.readRange(blob, range, sources, signal, events, mayUseCached);
  }

  /** Read all of a blob. */
  async read(
    blob: BlobRef,
    sources: readonly BlobSource[],
    signal: AbortSignal,
    events: ReadEvents = {},
    mayUseCached = this.#mayUseCached,
  ): Promise<FetchedBlob> {
    const shared = await this.#join(blob, sources, signal, events, mayUseCached);
    if (shared) return readOf(shared, { start: 0, end: shared.inFlight.sizeBytes }, signal);
    const read = await openVerified(sources, blob, signal, events);
    return { ...read, isFollower: false, range: { start: 0, end: read.sizeBytes } };
  }

  /**
   * The same for a part, for callers that want all of the blob fetched because of it. A part that ends before the blob
   * does waits until its bytes are verified, unless they come from "upstream" or a source that verifies each piece.
   *
   * @returns Undefined when the blob cannot be shared, has no such bytes, or they are so far ahead that the upstream has
   * them earlier: it is to be asked for the range.
   */
  async readRange(
    blob: BlobRef,
    range: RangeRequest,
    sources: readonly BlobSource[],
    signal: AbortSignal,
    events: ReadEvents = {},
    mayUseCached = this.#mayUseCached,
  ): Promise<FetchedBlob | undefined> {
    const resumedBytes = this.#storeFor(mayUseCached).partial(blob.digest)?.writtenBytes ?? 0;
    const shared = await this.#join(blob, sources, signal, events, mayUseCached);
    const part = shared && resolveRange(range, shared.inFlight.sizeBytes);
    const isFar = part && part.start > Math.max(resumedBytes, shared.inFlight.releasedBytes) + aheadBytes;
    if (part && !isFar) return readOf(shared, part, signal);
    shared?.reader.leave();
    return undefined;
  }

  /**
   * Follow the fetch that runs for a part of the blob, if it will be there soon and may be given out as it comes. The
   * caller's duties are those of `read`.
   *
   * @returns Undefined when there is no such fetch: the upstream is to be asked for the range.
   */
  joinRange(digest: Digest, range: RangeRequest, signal: AbortSignal): FetchedBlob | undefined {
    const fetch = this.#running.get(digest);
    const inFlight = fetch?.isOpen ? fetch.inFlight : undefined;
    const part = inFlight && resolveRange(range, inFlight.sizeBytes);
    if (!fetch || !part || signal.aborted) return undefined;
    if (part.start > inFlight.releasedBytes + aheadBytes || !inFlight.mayRelease(part.start, part.end))
      return undefined;
    return readOf({ reader: fetch.join(undefined, signal), inFlight, source: undefined }, part, signal);
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
    await Promise.all([...this.#all.values(), ...this.#inside.map((fetches) => fetches.close())]);
  }

  get #mayUseCached(): boolean {
    return this.#registry?.authorize !== "none" || !this.areOthers;
  }

  /** Undefined when the puller is on its own. */
  async #join(
    blob: BlobRef,
    sources: readonly BlobSource[],
    signal: AbortSignal,
    events: ReadEvents,
    mayUseCached: boolean,
  ): Promise<Shared | undefined> {
    const { digest } = blob;
    for (let fetch = this.#running.get(digest); fetch && !fetch.isOpen; fetch = this.#running.get(digest)) {
      if (!fetch.isEnding) return undefined;
      await raceAbort(fetch.ended, signal);
    }
    signal.throwIfAborted();
    const fetch = this.#running.get(digest) ?? this.#create(digest, mayUseCached);
    const reader = fetch.join({ blob, sources, events }, signal);
    if (!this.#all.has(fetch)) this.#run(fetch);
    try {
      const inFlight = await reader.opened.promise;
      return inFlight && { reader, inFlight, source: fetch.ownSource(reader) };
    } catch (err: unknown) {
      reader.leave();
      throw err;
    }
  }

  #create(digest: Digest, mayUseCached: boolean): SharedFetch {
    const fetch = new SharedFetch(this.#storeFor(mayUseCached), digest, this.#log, this.#options.slowReaderBudgetMs);
    this.#running.set(digest, fetch);
    this.#onCount(this.#running.size);
    void fetch.ended.then(() => {
      this.#running.delete(digest);
      this.#onCount(this.#running.size);
    });
    return fetch;
  }

  #storeFor(mayUseCached: boolean): BlobStorePort {
    if (mayUseCached && !this.areOthers) return this.#store;
    return this.#scopes.storeFor(this.#store, this.#registry?.registry ?? "", mayUseCached);
  }

  #run(fetch: SharedFetch): void {
    const running = fetch.run().finally(() => this.#all.delete(fetch));
    this.#all.set(fetch, running);
  }
}

/** A reader of a fetch whose size is known. */
interface Shared {
  readonly reader: FetchReader;
  readonly inFlight: InFlightBlob;
  /** What the first byte comes from; undefined for one that follows. */
  readonly source: SourceName | undefined;
}

function readOf({ reader, inFlight, source }: Shared, range: FetchedBlob["range"], signal: AbortSignal): FetchedBlob {
  const { start, end } = range;
  [reader.position, reader.end] = [start, end]; // also before its first chunk is asked for
  return {
    sizeBytes: inFlight.sizeBytes,
    source: source ?? "store",
    isFollower: source === undefined,
    range,
    chunks: inFlight.read(reader, start, end, signal),
    brokenOff: reader.brokenOff.signal,
  };
}
