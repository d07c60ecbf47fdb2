/**
 * `ndn-registry cache …`: look at what the client has cached, and change it, whether or not it is running.
 */
import type { AddedImage, AddProgress } from "#client/http/admin-images.ts";
import { count, sizeOf, tableOf } from "./cache/listing.ts";
import { openCache } from "./cache/open-cache.ts";
import type {
  cacheAddOptions,
  cacheListOptions,
  cachePinOptions,
  cachePruneOptions,
  cacheRemoveOptions,
  cacheVerifyOptions,
} from "./cache/options.ts";
import type { CachePort } from "./cache/stored-cache.ts";
import { CommandError } from "./errors.ts";
import type { Values } from "./option.ts";
import { formatSize } from "./sizes.ts";

/** List images and blobs, last used first. @throws CommandError */
export async function runCacheList({ cacheDir, format, json }: Values<typeof cacheListOptions>): Promise<void> {
  await using cache = await openCache(cacheDir);
  const listing = await cache.list();
  // The store knows the order better than its clock does.
  const blobs = listing.blobs.toReversed().toSorted((a, b) => b.lastUsedAt.localeCompare(a.lastUsedAt));
  const sorted = { ...listing, blobs };
  if (json || format === "json") return say(JSON.stringify(sorted, undefined, 2));
  for (const line of tableOf(sorted)) say(line);
}

/** Forget images, or single blobs. @throws CommandError when some are not cached, after the others are gone */
export async function runCacheRemove({ cacheDir, image }: Values<typeof cacheRemoveOptions>): Promise<void> {
  await using cache = await openCache(cacheDir);
  const missing: string[] = [];
  for (const each of new Set(image)) {
    const removed = await cache.remove(each);
    if (removed === undefined) missing.push(each);
    else if (removed.name.startsWith("sha256:")) say(`${removed.name} is removed`);
    else say(`${removed.name} is removed: ${count(removed.blobs, "blob")}, ${formatSize(removed.freedBytes)} freed`);
  }
  if (missing.length > 0) throw new CommandError(`not in the cache: ${missing.join(", ")}`);
}

/** Have the client fetch images. @throws CommandError at the first that cannot be had */
export async function runCacheAdd({ cacheDir, image, platform }: Values<typeof cacheAddOptions>): Promise<void> {
  await using cache = await openCache(cacheDir);
  for (const each of new Set(image)) {
    const startedMs = performance.now();
    const added = await withProgress<AddProgress, AddedImage>(addLine, (onProgress) =>
      cache.add({ image: each, platforms: platform, onProgress }),
    );
    say(`${added.name} is cached: ${addedText(added)}, ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
  }
}

/** Keep images from eviction. @throws CommandError at the first that cannot be pinned */
export async function runCachePin({ cacheDir, image }: Values<typeof cachePinOptions>): Promise<void> {
  await using cache = await openCache(cacheDir);
  for (const each of new Set(image)) {
    const pinned = await cache.pin(each);
    const rest = pinned.cachedBytes < pinned.sizeBytes ? "; the rest is kept once it is there (cache add)" : "";
    say(`${pinned.name} is pinned: ${sizeOf(pinned)}${rest}`);
  }
}

/** Let images be evicted again. @throws CommandError at the first that is not pinned */
export async function runCacheUnpin({ cacheDir, image }: Values<typeof cachePinOptions>): Promise<void> {
  await using cache = await openCache(cacheDir);
  for (const each of new Set(image)) say(`${await cache.unpin(each)} is no longer pinned`);
}

/** Read every blob. @throws CommandError when some were wrong; they are removed by then */
export async function runCacheVerify({ cacheDir }: Values<typeof cacheVerifyOptions>): Promise<void> {
  await using cache = await openCache(cacheDir);
  const { checked, bad } = await verify(cache);
  for (const digest of bad) say(`${digest} was wrong and is removed`);
  say(`${count(checked, "blob")} checked, ${bad.length} wrong`);
  if (bad.length > 0) throw new CommandError(`${count(bad.length, "blob")} did not have the bytes of its digest`);
}

/** Forget what was not used for longest. @throws CommandError */
export async function runCachePrune({ cacheDir, to }: Values<typeof cachePruneOptions>): Promise<void> {
  await using cache = await openCache(cacheDir);
  const { removed, freedBytes } = await cache.prune(to);
  say(`${count(removed, "blob")} removed, ${formatSize(freedBytes)} freed`);
}

function verify(cache: CachePort) {
  const line = ([checked, total]: readonly [number, number]) => `${checked} of ${count(total, "blob")}`;
  return withProgress(line, (tell) => cache.verify((checked, total) => tell([checked, total])));
}

function addLine({ doneBytes, totalBytes, doneBlobs, totalBlobs }: AddProgress): string {
  return `${formatSize(doneBytes)} of ${formatSize(totalBytes)}, ${doneBlobs} of ${count(totalBlobs, "blob")}`;
}

function addedText({ blobs, sizeBytes, fetchedBytes }: AddedImage): string {
  const sources = Object.entries(fetchedBytes).map(([source, bytes]) => `${formatSize(bytes)} from ${source}`);
  const from = sources.length > 0 ? sources.join(", ") : "all there before";
  return `${count(blobs, "blob")}, ${formatSize(sizeBytes)} (${from})`;
}

/** Show how far it is in one line, which goes at the end; on a terminal only. */
async function withProgress<P, R>(line: (progress: P) => string, work: (tell: (progress: P) => void) => Promise<R>) {
  if (!process.stderr.isTTY) return work(() => {});
  try {
    return await work((progress) => process.stderr.write(`\r${line(progress)}\x1b[K`));
  } finally {
    process.stderr.write("\r\x1b[K");
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
