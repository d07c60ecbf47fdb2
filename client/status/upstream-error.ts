/**
 * In which way the upstream failed: the `kind` label of the metrics.
 */
import { BlobCorrupt, BlobUnavailable } from "#blob/source.ts";
import { UpstreamAnswer } from "#blob/upstream-response.ts";

/** All kinds. */
export const upstreamErrorKinds = ["unreachable", "timeout", "429", "5xx", "broken"] as const;

/** `unreachable`: no connection; `timeout`: silence; `broken`: an answer that ended early or cannot be right. */
export type UpstreamErrorKind = (typeof upstreamErrorKinds)[number];

const kindOfCode: Readonly<Record<string, UpstreamErrorKind>> = {
  UND_ERR_CONNECT_TIMEOUT: "timeout",
  UND_ERR_HEADERS_TIMEOUT: "timeout",
  UND_ERR_BODY_TIMEOUT: "timeout",
  ETIMEDOUT: "timeout",
  UND_ERR_SOCKET: "broken",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "broken",
  UND_ERR_RES_EXCEEDED_MAX_SIZE: "broken",
  ECONNRESET: "broken",
  EPIPE: "broken",
};

/** The kind of a status that is the upstream's fault or its limit; undefined for every other answer. */
export function kindOfStatus(status: number): UpstreamErrorKind | undefined {
  if (status === 429) return "429";
  return status >= 500 ? "5xx" : undefined;
}

/** The kind of what a request to the upstream failed with, from the error and its causes. */
export function upstreamErrorKind(err: unknown): UpstreamErrorKind {
  const causes = [...causesOf(err)];
  for (const cause of causes) {
    if (cause instanceof UpstreamAnswer) return kindOfStatus(cause.status) ?? "broken";
    if (cause.name === "TimeoutError") return "timeout";
    const kind = "code" in cause ? kindOfCode[String(cause.code)] : undefined;
    if (kind !== undefined) return kind;
  }
  // Without a foreign error below, it is an answer that was found wanting here: too short, stalled, of another size.
  const isOurs = causes.every((cause) => cause instanceof BlobUnavailable || cause instanceof BlobCorrupt);
  return isOurs && causes.length > 0 ? "broken" : "unreachable";
}

// An error may be its own cause; none is nested deeper by accident.
const maxDepth = 8;

function* causesOf(err: unknown): Generator<Error> {
  let next = err;
  for (let depth = 0; depth < maxDepth && next instanceof Error; depth++) {
    yield next;
    next = next instanceof AggregateError ? next.errors[0] : next.cause;
  }
}
