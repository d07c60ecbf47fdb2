/** Faults: how an answer to a blob GET can go wrong. */

/** Offsets count from the first byte of the answer's body. */
export type Fault = (
  | { kind: "stall-after"; bytes: number }
  | { kind: "reset-after"; bytes: number }
  /** 200 with everything, whatever range was asked for. */
  | { kind: "ignore-range" }
  /** The same, with other bytes of the same length. */
  | { kind: "ignore-range-wrong" }
  /** A 206 that ends half-way, by a FIN, before its Content-Length. */
  | { kind: "short-206" }
  /** A 206 for a range beside the one asked for; honest about it in Content-Range. */
  | { kind: "wrong-206" }
  | { kind: "wrong-bytes" }
  | { kind: "status"; status: number }
  | { kind: "slow"; bytesPerSecond: number }
  /** Only late, by `delayMs`. */
  | { kind: "late" }
) & {
  /** Before the answer begins. */
  delayMs?: number;
  /** How many answers it hits before all is well again. @defaultValue every one */
  times?: number;
};

/** A blob answer that is decided but not sent. */
export interface Answer {
  status: number;
  /** `[start, end)` in the blob; undefined for a 200 with everything. */
  contentRange?: { start: number; end: number } | undefined;
  body: Buffer;
  /** Where the body stops short, and how. */
  stop?: { afterBytes: number; how: "stall" | "reset" | "fin" } | undefined;
  bytesPerSecond?: number | undefined;
}

/** How `fault` answers a GET for `range` of `blob`; undefined range for all of it. */
export function answerWith(
  fault: Fault | undefined,
  blob: Buffer,
  range: { start: number; end: number } | undefined,
): Answer {
  const good = answerRange(blob, range);
  switch (fault?.kind) {
    case "stall-after":
      return { ...good, stop: { afterBytes: fault.bytes, how: "stall" } };
    case "reset-after":
      return { ...good, stop: { afterBytes: fault.bytes, how: "reset" } };
    case "ignore-range":
      return answerRange(blob, undefined);
    case "ignore-range-wrong":
      return answerRange(otherBytes(blob), undefined);
    case "short-206":
      return range ? { ...good, stop: { afterBytes: Math.floor(good.body.length / 2), how: "fin" } } : good;
    case "wrong-206":
      return range ? answerRange(blob, beside(range, blob.length)) : good;
    case "wrong-bytes":
      return { ...good, body: otherBytes(good.body) };
    case "slow":
      return { ...good, bytesPerSecond: fault.bytesPerSecond };
    default:
      return good;
  }
}

function answerRange(blob: Buffer, range: { start: number; end: number } | undefined): Answer {
  if (range === undefined) return { status: 200, body: blob };
  return { status: 206, contentRange: range, body: blob.subarray(range.start, range.end) };
}

/** A copy in which the first byte and every 4096th after it are others. */
function otherBytes(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let at = 0; at < copy.length; at += 4096) copy[at]! ^= 0xff;
  return copy;
}

/** One byte earlier, or later where there is nothing earlier. */
function beside({ start, end }: { start: number; end: number }, sizeBytes: number): { start: number; end: number } {
  if (start > 0) return { start: start - 1, end: end - 1 };
  return { start: 1, end: Math.min(end + 1, sizeBytes) };
}
