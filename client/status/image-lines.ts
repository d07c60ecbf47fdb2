/**
 * One line in the log per image that was pulled or pushed.
 */
import type { Logger } from "pino";
import type { PullKey, PullOutcome, PullView } from "./pull-view.ts";

const texts: Readonly<Record<PullOutcome, string>> = {
  running: "image is being pulled",
  complete: "image pulled",
  checked: "manifest served, no blob asked for",
  cancelled: "pull cancelled",
  failed: "pull failed",
  refused: "pull refused",
};

/** Log a pull that is over. */
export function logPull(log: Pick<Logger, "info" | "warn">, pull: PullView): void {
  const { client, reference, outcome, blobs, durationMs, reason, whyNotNdn, manifestFrom } = pull;
  const fields = {
    image: imageOf(pull, reference),
    client,
    outcome,
    bytes: Object.fromEntries(Object.entries(pull.bytes).filter(([, count]) => count > 0)),
    blobs: blobs.complete,
    ...(blobs.failed > 0 && { blobsFailed: blobs.failed }),
    ms: durationMs,
    ...(manifestFrom !== null && { manifestFrom }),
    ...(reason !== null && { reason }),
    ...(whyNotNdn !== null && { whyNotNdn }),
  };
  log[outcome === "failed" || outcome === "refused" ? "warn" : "info"](fields, texts[outcome]);
}

/** `docker.io/library/alpine:3.22`, or with `@` and a digest. */
export function imageOf({ registry, repository }: Omit<PullKey, "client">, reference: string | null): string {
  const name = `${registry}/${repository}`;
  if (reference === null) return name;
  return reference.includes(":") ? `${name}@${reference}` : `${name}:${reference}`;
}
