/**
 * One line in the log per blob that a puller has asked for, also where it reads the blob in many ranges.
 */
import type { Logger } from "pino";
import type { SourceName } from "#blob/source.ts";
import type { Outcome } from "./metrics.ts";

/** What one request for a blob came to. */
export interface BlobPart {
  readonly bytes: Partial<Readonly<Record<SourceName, number>>>;
  readonly outcome: Outcome;
  /** Others for the same blob may follow: it was for a range, or was given up. */
  readonly isPart: boolean;
  /** Of sources that were left. */
  readonly failures: readonly string[];
  readonly whyNotNdn: string | undefined;
  readonly reason: string | undefined;
}

/** The requests of one puller for one blob that make one line. */
interface OpenLine {
  readonly log: Pick<Logger, "info" | "warn">;
  readonly blob: Readonly<{ repository: string; digest: string }>;
  readonly beganMs: number;
  readonly bytes: Partial<Record<SourceName, number>>;
  readonly failures: string[];
  live: number;
  requests: number;
  outcome: Outcome;
  endedMs: number;
  whyNotNdn: string | undefined;
  reason: string | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** A puller that reads in ranges asks for the next one within this time. */
const quietMs = 1_000;
/** One that has dropped its first request on purpose may compute before it begins with ranges. */
const droppedMs = 5_000;
/** Lines that wait for more; beyond these none waits. */
const maxOpen = 1_000;
const maxFailures = 5;

/** Gathers what belongs to one line. */
export class BlobLines {
  readonly #open = new Map<string, OpenLine>();

  /**
   * A request begins; the caller says once how it ended.
   *
   * @param puller - The same for requests that make one line.
   */
  began(log: OpenLine["log"], puller: string, blob: OpenLine["blob"]): (part: BlobPart) => void {
    const key = `${puller} ${blob.repository} ${blob.digest}`;
    const line = this.#open.get(key) ?? newLine(log, blob);
    clearTimeout(line.timer);
    line.live++;
    line.requests++;
    this.#open.set(key, line);
    return (part) => {
      line.live--;
      add(line, part);
      if (line.live > 0) return;
      const waits = part.isPart && this.#open.size <= maxOpen;
      if (waits) line.timer = setTimeout(() => this.#write(key, line), waitOf(line)).unref();
      else this.#write(key, line);
    };
  }

  /** Write what waits for more. */
  close(): void {
    for (const [key, line] of this.#open) if (line.live === 0) this.#write(key, line);
  }

  #write(key: string, line: OpenLine): void {
    clearTimeout(line.timer);
    this.#open.delete(key);
    const { log, blob, bytes, requests, outcome, whyNotNdn, failures, reason } = line;
    const ms = line.endedMs - line.beganMs;
    const total = Object.values(bytes).reduce((sum, count) => sum + count, 0);
    const fields = {
      ...blob,
      bytes,
      ms: Math.round(ms),
      mbPerSecond: Math.round(total / ms / 100) / 10,
      outcome,
      ...(requests > 1 && { requests }),
      ...(whyNotNdn !== undefined && { whyNotNdn }),
      ...(failures.length > 0 && { failures }),
      ...(reason !== undefined && { reason }),
    };
    if (outcome === "broken") log.warn(fields, "blob broken off");
    else log.info(fields, outcome === "complete" ? "blob served" : "blob not served");
  }
}

function waitOf({ outcome }: OpenLine): number {
  return outcome === "cancelled" ? droppedMs : quietMs;
}

function newLine(log: OpenLine["log"], blob: OpenLine["blob"]): OpenLine {
  const nowMs = performance.now();
  return {
    log,
    blob,
    beganMs: nowMs,
    bytes: {},
    failures: [],
    live: 0,
    requests: 0,
    outcome: "cancelled",
    endedMs: nowMs,
    whyNotNdn: undefined,
    reason: undefined,
    timer: undefined,
  };
}

function add(line: OpenLine, { bytes, outcome, failures, whyNotNdn, reason }: BlobPart): void {
  line.endedMs = performance.now();
  for (const [source, count] of Object.entries(bytes))
    line.bytes[source as SourceName] = (line.bytes[source as SourceName] ?? 0) + count;
  line.failures.push(...failures.slice(0, maxFailures - line.failures.length));
  line.whyNotNdn ??= whyNotNdn;
  if (outcome === "cancelled" && line.outcome === "complete") return; // pullers drop requests on purpose
  line.outcome = outcome;
  line.reason = reason;
}
