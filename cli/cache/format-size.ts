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
