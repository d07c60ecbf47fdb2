import { createHash } from "node:crypto";
import type { ReadEvents, SourcedChunk } from "#blob/fallback.ts";
import type { BlobRef, BlobSource } from "#blob/source.ts";
import type { SharedFetchOptions } from "#fetch/fetch-reader.ts";
import type { FetchedBlob } from "#fetch/fetcher.ts";
import { SharedFetches } from "#fetch/shared-fetches.ts";
import type { RangeRequest } from "#oci/body-headers.ts";
import type { TestBlob } from "#test/blob/faulty-sources.ts";
import { until } from "#test/support/until.ts";
import { MemoryStore } from "./memory-store.ts";

/** The one entrance of the fetches, as pullers use it. */
export class StagedFetches extends SharedFetches {
  /** Read all of a blob. */
  async read(
    blob: BlobRef,
    sources: readonly BlobSource[],
    signal: AbortSignal,
    events?: ReadEvents,
  ): Promise<FetchedBlob> {
    return (await this.fetch({ blob, sources, events }, signal))!;
  }

  /** Read a range, for which a fetch may be started where the first source verifies each piece. */
  readRange(blob: BlobRef, range: RangeRequest, sources: readonly BlobSource[], signal: AbortSignal) {
    return this.fetch({ blob, sources, range }, signal);
  }

  /** Read a range of a fetch that runs, and start none. */
  followRange(blob: BlobRef, range: RangeRequest, signal: AbortSignal) {
    return this.readRange(blob, range, [], signal);
  }
}

/** A source each piece of which is verified. */
export function verified<S extends BlobSource>(source: S): S {
  return { ...source, isVerified: true };
}

/** A store in memory, the fetches into it, and what was logged; a fetch ends at once when all readers have left. */
export function stageFetches(options: SharedFetchOptions = {}) {
  const store = new MemoryStore();
  const warnings: unknown[] = [];
  const log = { warn: (...line: unknown[]) => void warnings.push(line) };
  const fetches = new StagedFetches(store, log, undefined, { lingerMs: 0, ...options });
  return { store, fetches, warnings };
}

/** A signal that the test fires. */
export function leaver(): { readonly signal: AbortSignal; readonly leave: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, leave: () => controller.abort(new Error("the puller left")) };
}

/** What a reader got, and from where; `error` when it broke off. */
export interface Got {
  bytes: number;
  digest: string;
  from: Record<string, number>;
  error?: unknown;
}

/** Reads at the pace of the test. */
export class Taker {
  readonly got: Got = { bytes: 0, digest: "", from: {} };
  readonly #hash = createHash("sha256");
  readonly #chunks: AsyncIterator<SourcedChunk>;

  readonly #pace: (() => Promise<void>) | undefined;

  /** @param pace - How long it works on a chunk, before it looks at the bytes. */
  constructor(read: Pick<FetchedBlob, "chunks">, pace?: () => Promise<void>) {
    this.#pace = pace;
    this.#chunks = read.chunks[Symbol.asyncIterator]();
  }

  /** Read until at least this many bytes are there. */
  async until(bytes: number): Promise<Got> {
    while (this.got.bytes < bytes) if (!(await this.#next())) break;
    return this.got;
  }

  /** Read to the end, good or bad. */
  async toEnd(): Promise<Got> {
    try {
      while (await this.#next());
    } catch (err: unknown) {
      this.got.error = err;
    }
    this.got.digest = `sha256:${this.#hash.digest("hex")}`;
    return this.got;
  }

  async leave(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #next(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (done) return false;
    if (this.#pace) await this.#pace();
    this.#hash.update(value.bytes);
    this.got.bytes += value.bytes.length;
    this.got.from[value.source] = (this.got.from[value.source] ?? 0) + value.bytes.length;
    return true;
  }
}

/** Read all of it. */
export function takeAll(read: Pick<FetchedBlob, "chunks">): Promise<Got> {
  return new Taker(read).toEnd();
}

/** Wait until nothing in the store is open. */
export async function filesClosed(store: MemoryStore): Promise<void> {
  await until("all files to be closed", () => store.openFiles === 0);
}

/** Wait until the blob is cached. */
export async function stored(store: MemoryStore, { ref }: TestBlob): Promise<void> {
  await until("the blob to be stored", () => store.has(ref.digest));
}
