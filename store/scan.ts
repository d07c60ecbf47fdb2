/**
 * What an earlier process left in the directory.
 */
import { lstat, readdir, rm } from "node:fs/promises";
import { errorCode } from "#base/errors.ts";
import { forEachBounded } from "#base/limits.ts";
import { type Digest, parseSha256 } from "#oci/reference.ts";
import type { ImageLayout } from "./image-layout.ts";

/** A file whose name is a digest. */
export interface FoundFile {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

/** What was left of a blob that broke off. */
export interface FoundPartial extends FoundFile {
  /** Size of the whole blob; `sizeBytes` is what is there. */
  readonly wholeBytes: number;
}

// The thread pool has four threads; a few more keep them busy, and a failing disk has no long queue.
const statsAtOnce = 16;

/** The blobs, least recently used first. What is no blob is another's and stays where it is. */
export async function findBlobs(layout: ImageLayout): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  await forEachBounded(await readdir(layout.blobs), statsAtOnce, async (name) => {
    const digest = parseSha256(`sha256:${name}`);
    const file = digest && (await statFile(`${layout.blobs}/${name}`));
    if (file) found.push({ digest, ...file });
  });
  return found.sort(byAge);
}

/** What broke off, oldest first, one per blob; everything else in that directory is removed. */
export async function findPartials(
  layout: ImageLayout,
  isCached: (digest: Digest) => boolean,
): Promise<FoundPartial[]> {
  const found: FoundPartial[] = [];
  const useless: string[] = [];
  await forEachBounded(await readdir(layout.partials), statsAtOnce, async (name) => {
    const partial = await statPartial(layout, name);
    if (partial && !isCached(partial.digest)) found.push(partial);
    else useless.push(`${layout.partials}/${name}`);
  });
  const kept = new Map<Digest, FoundPartial>();
  for (const partial of found.sort((a, b) => a.sizeBytes - b.sizeBytes)) {
    const smaller = kept.get(partial.digest);
    if (smaller) useless.push(layout.partial(smaller.digest, smaller.wholeBytes));
    kept.set(partial.digest, partial);
  }
  await forEachBounded(useless, statsAtOnce, (path) => rm(path, { recursive: true, force: true }));
  return [...kept.values()].sort(byAge);
}

async function statPartial(layout: ImageLayout, name: string): Promise<FoundPartial | undefined> {
  const [, hex, whole] = /^([a-f0-9]{64})\.(0|[1-9]\d{0,14})$/.exec(name) ?? [];
  const digest = parseSha256(`sha256:${hex}`);
  const wholeBytes = Number(whole);
  const file = digest && (await statFile(`${layout.partials}/${name}`));
  if (!file || file.sizeBytes === 0 || file.sizeBytes > wholeBytes) return undefined;
  return { digest, wholeBytes, ...file };
}

async function statFile(path: string): Promise<{ sizeBytes: number; usedAt: number } | undefined> {
  try {
    const stats = await lstat(path);
    return stats.isFile() ? { sizeBytes: stats.size, usedAt: stats.mtimeMs } : undefined;
  } catch (err: unknown) {
    if (errorCode(err) === "ENOENT") return undefined;
    throw err;
  }
}

/** Times far in the future come from a clock that was wrong: they would count as the newest for years. */
function byAge(a: FoundFile, b: FoundFile): number {
  const tomorrow = Date.now() + 24 * 60 * 60 * 1000;
  const age = ({ usedAt }: FoundFile) => (usedAt > tomorrow ? 0 : usedAt);
  return age(a) - age(b) || a.usedAt - b.usedAt;
}
