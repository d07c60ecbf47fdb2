/**
 * `ndn-registry cache ls|rm|verify|prune`: look at the blobs that the client holds, whether or not it is running.
 */

import { openCache } from "./cache/open-cache.ts";
import type { cacheListOptions, cachePruneOptions, cacheRemoveOptions, cacheVerifyOptions } from "./cache/options.ts";
import type { CachePort } from "./cache/stored-cache.ts";
import { CommandError } from "./errors.ts";
import type { Values } from "./option.ts";
import { formatSize } from "./sizes.ts";

/** List the blobs, last used first. @throws CommandError */
export async function runCacheList({ cacheDir, format }: Values<typeof cacheListOptions>): Promise<void> {
  await using cache = await openCache(cacheDir);
  const { usedBytes, maxBytes, blobs } = await cache.list();
  // The store knows the order better than its clock does.
  const sorted = blobs.toReversed().toSorted((a, b) => b.lastUsedAt.localeCompare(a.lastUsedAt));
  if (format === "json") return say(JSON.stringify({ usedBytes, maxBytes, blobs: sorted }, undefined, 2));
  for (const { digest, sizeBytes, lastUsedAt } of sorted) {
    say(`${digest}  ${formatSize(sizeBytes).padStart(9)}  ${lastUsedAt}`);
  }
  const budget = maxBytes === undefined ? "" : ` of ${formatSize(maxBytes)}`;
  say(`${count(blobs.length, "blob")}, ${formatSize(usedBytes)}${budget}`);
}

/** Forget blobs. @throws CommandError when some are not cached, after the others are gone */
export async function runCacheRemove({ cacheDir, digest }: Values<typeof cacheRemoveOptions>): Promise<void> {
  await using cache = await openCache(cacheDir);
  const missing: string[] = [];
  for (const each of new Set(digest)) {
    if (await cache.delete(each)) say(`${each} is removed`);
    else missing.push(each);
  }
  if (missing.length > 0) throw new CommandError(`not in the cache: ${missing.join(", ")}`);
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

async function verify(cache: CachePort) {
  if (!process.stderr.isTTY) return cache.verify(() => {});
  try {
    return await cache.verify((checked, total) => process.stderr.write(`\r${checked} of ${count(total, "blob")} `));
  } finally {
    process.stderr.write("\r\x1b[K"); // the line of progress goes
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
