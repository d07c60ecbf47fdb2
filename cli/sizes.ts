/**
 * Amounts of bytes as people write them: `10GiB`, `500KB`, `1.5MB`, `1048576`.
 */

// KB, MB … are powers of 1000 and KiB, MiB … of 1024; a bare K or M would be read either way, so it is refused.
const unitBytes: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ...["k", "m", "g", "t"].flatMap((letter, index): [string, number][] => [
    [`${letter}b`, 1000 ** (index + 1)],
    [`${letter}ib`, 1024 ** (index + 1)],
  ]),
]);

/**
 * Bytes of a text such as `10GiB`, `500KB`, `0`; upper and lower case are the same.
 * @throws Error
 */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = unitBytes.get(match?.[2]?.toLowerCase() ?? "unknown");
  if (!match || unit === undefined) {
    throw new Error(`${JSON.stringify(text)} is not a size (examples: 10GiB, 500MB, 1048576)`);
  }
  const bytes = Math.round(Number(match[1]) * unit);
  if (!Number.isSafeInteger(bytes)) throw new Error(`${JSON.stringify(text)} is more than can be counted`);
  return bytes;
}

/**
 * Bytes per second of a text such as `10MB` or `10MB/s`: a limit, so above zero.
 * @throws Error
 */
export function parseRate(text: string): number {
  const bytes = parseSize(text.replace(/\/s$/i, ""));
  if (bytes < 1) throw new Error(`${JSON.stringify(text)} lets nothing through; leave the option out for no limit`);
  return bytes;
}

/** Bytes in the largest unit of 1024 that leaves a whole part, for people: `1.5 MiB`, `17 B`. */
export function formatSize(bytes: number): string {
  let [value, unit] = [bytes, "B"];
  for (const larger of ["KiB", "MiB", "GiB", "TiB"]) {
    // What would be printed as 1024 is 1 of the next unit.
    if (value < 1023.5) break;
    [value, unit] = [value / 1024, larger];
  }
  return unit === "B" || value >= 99.95 ? `${value.toFixed(0)} ${unit}` : `${value.toFixed(1)} ${unit}`;
}
