/** Ranges as docker-registry reads them; written apart from `oci/range.ts`, so that neither hides a mistake of the other. */

/** The bytes asked for; undefined for all of them (no range, or several), "unsatisfiable" also for nonsense. */
export function selectRange(
  header: string | undefined,
  sizeBytes: number,
): { start: number; end: number } | "unsatisfiable" | undefined {
  if (header === undefined || header.includes(",")) return undefined;
  const [unit, spec = ""] = header.split("=", 2);
  const [first = "", last = "", ...rest] = spec.split("-");
  const isNumber = (text: string) => /^\d*$/.test(text);
  if (unit !== "bytes" || !isNumber(first) || !isNumber(last) || rest.length > 0) return "unsatisfiable";
  if (!spec.includes("-") || spec === "-") return "unsatisfiable";
  const start = first === "" ? Math.max(0, sizeBytes - Number(last)) : Number(first);
  const end = first === "" || last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  return start < end ? { start, end } : "unsatisfiable";
}
