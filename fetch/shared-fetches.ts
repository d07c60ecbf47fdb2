/**
 * One fetch per registry and blob: whoever wants a blob that is being fetched follows that fetch.
 */

import { raceAbort } from "#base/abort.ts";
import type { ReadEvents } from "#blob/fallback.ts";
import type { BlobRef, BlobSource } from "#blob/source.ts";
import { openVerified, type VerifiedRead } from "#blob/verify.ts";
import type { Digest } from "#oci/digest.ts";
import { type RangeRequest, resolveRange } from "#oci/range.ts";
import type { BlobStorePort } from "#store/store-port.ts";
import type { FetchLog } from "./fetch-file.ts";
import type { FetchReader } from "./fetch-reader.ts";
import { SharedFetch } from "./shared-fetch.ts";
import { type FetchingRegistry, FetchScopes } from "./shared-fetch-scope.ts";

/** What one reader gets; the chunks are to be iterated once, or the signal to be fired. */
export interface SharedRead extends VerifiedRead {
  /** Whether the puller's own sources are not asked: someone else fetches, or the store has it. */
  readonly isFollower: boolean;
  /**
   * Fires when this puller is too slow for the others that share its fetch: it is to be broken off at once, with what
   * it is being sent.
   */
  readonly brokenOff?: AbortSignal | undefined;
}

/** A read of a part. */
export interface SharedRangeRead extends SharedRead {
  /** What the chunks carry. */
  readonly range: { readonly start: number; readonly end: number };
}

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
  readonly patienceMs?: number | undefined;
}

/** All running fetches of one store, or those of one registry (`of`). */
export class SharedFetches {
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
   * Read all of a blob: by following the fetch that runs, else by starting one from `sources`, which stays others' to
   * follow. Resolves when the size is known. What is wrong never completes, for nobody, as with `openVerified`.
   *
   * Nobody's rights are checked here, and others' sources or the disk may deliver: the caller asks for the puller's own
   * right beside this call, and awaits it before it takes the first chunk or tells the size. A puller that is refused
   * just leaves: the caller fires `signal`.
   *
   * When a fetch fails, it goes on from the same byte with the sources of the next reader. So what is thrown here, or by
   * the chunks, is what the puller's own sources said, never what the upstream said to another's credential.
   *
   * @param sources - Read with this puller's rights, also for those who follow after it has left.
   * @param signal - Leaves, at any time. The last one to leave cancels the fetch; its bytes stay for the next.
   * @param mayUseCached - Whether this registry's pullers may have what is there of the blob, whoever it was fetched for.
   * By default only where their rights are asked, or where there is no other registry.
   * @throws The errors of `openVerified`. With a partial on disk the size is known before a source is asked: a refusal
   * then comes from the chunks, as BlobUnavailable.
   */
  async read(
    blob: BlobRef,
    sources: readonly BlobSource[],
    signal: AbortSignal,
    events: ReadEvents = {},
    mayUseCached = this.#mayUseCached,
  ): Promise<SharedRead> {
    const shared = await this.#join(blob, sources, signal, events, mayUseCached);
    if (shared) return { ...shared.facts, chunks: shared.chunksOf(0, shared.facts.sizeBytes) };
    return { ...(await openVerified(sources, blob, signal, events)), isFollower: false };
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
  ): Promise<SharedRangeRead | undefined> {
    const resumedBytes = this.#storeFor(mayUseCached).partial(blob.digest)?.writtenBytes ?? 0;
    const shared = await this.#join(blob, sources, signal, events, mayUseCached);
    const part = shared && resolveRange(range, shared.facts.sizeBytes);
    const isFar = part && part.start > Math.max(resumedBytes, shared.releasedBytes()) + aheadBytes;
    if (!part || isFar) {
      shared?.reader.leave();
      return undefined;
    }
    return { ...shared.facts, range: part, chunks: shared.chunksOf(part.start, part.end) };
  }

  /**
   * Follow the fetch that runs for a part of the blob, if it will be there soon and may be given out as it comes. The
   * caller's duties are those of `read`.
   *
   * @returns Undefined when there is no such fetch: the upstream is to be asked for the range.
   */
  joinRange(digest: Digest, range: RangeRequest, signal: AbortSignal): SharedRangeRead | undefined {
    const fetch = this.#running.get(digest);
    const grown = fetch?.isOpen ? fetch.grown : undefined;
    const part = grown && resolveRange(range, grown.sizeBytes);
    if (!fetch || !part || signal.aborted) return undefined;
    if (part.start > grown.releasedBytes + aheadBytes || !grown.mayRelease(part.start, part.end)) return undefined;
    const reader = fetch.join(undefined, signal);
    [reader.position, reader.end] = [part.start, part.end];
    const chunks = grown.read(reader, part.start, part.end, signal);
    const brokenOff = grown.brokenOff(reader);
    return { sizeBytes: grown.sizeBytes, source: "store", isFollower: true, range: part, chunks, brokenOff };
  }

  /** The fetches that run. */
  *progress(): Generator<FetchProgress> {
    for (const { digest, grown, readerCount } of this.#running.values()) {
      const { sizeBytes, releasedBytes = 0 } = grown ?? {};
      yield { digest, sizeBytes, releasedBytes, readers: readerCount };
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
  ) {
    const { digest } = blob;
    for (let fetch = this.#running.get(digest); fetch && !fetch.isOpen; fetch = this.#running.get(digest)) {
      if (!fetch.isEnding) return undefined;
      await raceAbort(fetch.ended, signal);
    }
    signal.throwIfAborted();
    const fetch = this.#running.get(digest) ?? this.#create(digest, mayUseCached);
    const reader = fetch.join({ blob, sources, events }, signal);
    if (!this.#all.has(fetch)) this.#run(fetch);
    return sharedBy(fetch, reader, signal);
  }

  #create(digest: Digest, mayUseCached: boolean): SharedFetch {
    const fetch = new SharedFetch(this.#storeFor(mayUseCached), digest, this.#log, this.#options.patienceMs);
    this.#running.set(digest, fetch);
    this.#onCount(this.#running.size);
    void fetch.ended.then(() => {
      this.#running.delete(digest);
      this.#onCount(this.#running.size);
    });
    return fetch;
  }

  #storeFor(mayUseCached: boolean): BlobStorePort {
    return this.#scopes.storeFor(this.#store, this.#registry?.registry ?? "", mayUseCached);
  }

  #run(fetch: SharedFetch): void {
    const running = fetch.run().finally(() => this.#all.delete(fetch));
    this.#all.set(fetch, running);
  }
}

async function sharedBy(fetch: SharedFetch, reader: FetchReader, signal: AbortSignal) {
  try {
    const grown = await reader.opened.promise;
    if (!grown) return undefined;
    const source = fetch.ownSource(reader);
    return {
      reader,
      releasedBytes: () => grown.releasedBytes,
      facts: {
        sizeBytes: grown.sizeBytes,
        source: source ?? "store",
        isFollower: source === undefined,
        brokenOff: grown.brokenOff(reader),
      },
      chunksOf: (start: number, end: number) => grown.read(reader, start, end, signal),
    } as const;
  } catch (err: unknown) {
    reader.leave();
    throw err;
  }
}
