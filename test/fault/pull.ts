/** One GET of a blob as a puller does it, with a bound, and what came of it. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

/**
 * - `right`: all bytes, and they are the blob's.
 * - `break`: the connection was broken off, or the answer was an error: the puller knows.
 * - `left`: the reader went away itself.
 * - `wrong`: a complete answer with other bytes. Never allowed.
 * - `hang`: not over within the bound. Only allowed where the puller is the one whose patience counts.
 */
export type Outcome = "right" | "break" | "left" | "wrong" | "hang";

/** What came of a pull. */
export interface Pull {
  readonly outcome: Outcome;
  readonly ms: number;
  readonly bytes: number;
  /** HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;
}

/** How the reader behaves. */
export interface PullOptions {
  /** @defaultValue 30000 */
  readonly boundMs?: number;
  /** Stop reading for this long after so many bytes. */
  readonly pause?: { readonly afterBytes: number; readonly ms: number };
  /** Go away after so many bytes. */
  readonly leaveAfterBytes?: number;
  /** Called once when so many bytes have come. */
  readonly at?: { readonly bytes: number; readonly act: () => void };
}

/** GET a blob and compare it with its digest. */
export async function pull(url: string, digest: string, options: PullOptions = {}): Promise<Pull> {
  const bound = AbortSignal.timeout(options.boundMs ?? 30_000);
  const startedAtMs = performance.now();
  const reading = new Reading(options);
  let outcome: Outcome;
  try {
    outcome = await reading.run(url, digest, bound);
  } catch {
    outcome = "break";
  }
  if (bound.aborted) outcome = "hang";
  return { outcome, ms: Math.round(performance.now() - startedAtMs), bytes: reading.bytes, status: reading.status };
}

class Reading {
  bytes = 0;
  status: number | undefined;
  private readonly options: PullOptions;
  private readonly hash = createHash("sha256");
  private hasPaused = false;
  private hasTold = false;

  constructor(options: PullOptions) {
    this.options = options;
  }

  async run(url: string, digest: string, signal: AbortSignal): Promise<Outcome> {
    const request = get(url, { agent: false, signal });
    request.on("error", () => undefined); // once() below throws it; a later one also comes to the response
    const [response] = (await once(request, "response")) as [IncomingMessage];
    this.status = response.statusCode;
    for await (const piece of response) {
      await this.take(piece as Buffer);
      if (this.bytes >= (this.options.leaveAfterBytes ?? Number.POSITIVE_INFINITY)) return "left";
    }
    if (this.status !== 200 || !response.complete) return "break";
    return `sha256:${this.hash.digest("hex")}` === digest ? "right" : "wrong";
  }

  private async take(piece: Buffer): Promise<void> {
    const { pause, at } = this.options;
    this.hash.update(piece);
    this.bytes += piece.length;
    if (at !== undefined && !this.hasTold && this.bytes >= at.bytes) {
      this.hasTold = true;
      at.act();
    }
    if (pause === undefined || this.hasPaused || this.bytes < pause.afterBytes) return;
    this.hasPaused = true;
    await delay(pause.ms);
  }
}
