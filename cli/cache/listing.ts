/**
 * What is cached, as a table for people.
 */
import { formatSize } from "../sizes.ts";
import type { Listing } from "./stored-cache.ts";

/** The lines: images, then blobs that belong to none, both last used first, then the totals. */
export function tableOf({ usedBytes, maxBytes, images = [], blobs }: Listing): string[] {
  const budget = maxBytes === undefined ? "" : ` of ${formatSize(maxBytes)}`;
  const counts = [...(images.length > 0 ? [count(images.length, "image")] : []), count(blobs.length, "blob")];
  const ofImages = new Set<string>(images.flatMap((image) => image.blobs));
  const others = blobs.filter(({ digest }) => !ofImages.has(digest));
  return [
    ...imageLines(images),
    ...others.map(({ digest, sizeBytes, lastUsedAt, isPinned }) =>
      [digest, formatSize(sizeBytes).padStart(9), lastUsedAt, ...(isPinned ? ["pinned"] : [])].join("  "),
    ),
    `${[...counts, formatSize(usedBytes)].join(", ")}${budget}`,
  ];
}

/** `3 blobs`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** `3.1 MiB`, or how much of it is cached. */
export function sizeOf({
  sizeBytes,
  cachedBytes,
}: {
  readonly sizeBytes: number;
  readonly cachedBytes: number;
}): string {
  return cachedBytes === sizeBytes ? formatSize(sizeBytes) : `${formatSize(cachedBytes)} of ${formatSize(sizeBytes)}`;
}

/** As long as `cache rm` and others take it, and as Docker shows it. */
function shortDigest(digest: string): string {
  return digest.replace(/^(sha256:)?([a-f0-9]{12}).*/, "$2");
}

function imageLines(images: NonNullable<Listing["images"]>): string[] {
  if (images.length === 0) return [];
  const rows = images.map((image) => [
    image.repository,
    image.tag ?? "<none>",
    shortDigest(image.digest),
    sizeOf(image),
    image.lastUsedAt,
    image.isPinned ? "pinned" : "",
  ]);
  const all = [["REPOSITORY", "TAG", "DIGEST", "SIZE", "LAST USED", ""], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
}
