/** How long a tag may be served that no one confirms, as operators write it. */

const unitsMs = new Map([
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** A time such as `24h`, `30m` or `90s`, or `never` or `forever`; in milliseconds. @throws Error */
export function parseStaleTime(text: string): number {
  if (text === "never") return 0;
  if (text === "forever") return Number.POSITIVE_INFINITY;
  const [, count, unit = ""] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const unitMs = unitsMs.get(unit);
  if (unitMs === undefined) throw new Error(`${JSON.stringify(text)} is none of never, forever and a time such as 24h`);
  return Number(count) * unitMs;
}
