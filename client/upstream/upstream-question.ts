/**
 * Asking the upstream without waiting for ever: how long depends on who could answer in its place.
 */
import type { Readable } from "node:stream";
import { RegistryUnreachable } from "#oci/errors.ts";
import type { HeadTimeouts, Question, Upstream, UpstreamReply } from "./upstream.ts";

/** The upstream has not begun to answer in time; asked for longer, it may. */
export class UpstreamSilent extends RegistryUnreachable {}

/** What answers when the upstream does not: the cache, another request to the upstream, or nothing. */
export type InItsPlace = "cache" | "another request" | "none";

/**
 * Asks the upstream one question; the second argument says what answers when it does not.
 *
 * @throws RegistryUnreachable; UpstreamSilent, never when nothing else could answer in its place.
 */
export type Ask = (question: Question, inItsPlace: InItsPlace) => Promise<UpstreamReply>;

const silenceMs = 30_000;

/** @param options - Times, and `now` in milliseconds for tests. */
export function createAsk(upstream: Upstream, options: Partial<HeadTimeouts> & { now?: () => number } = {}): Ask {
  const { aloneMs = 10_000, withCacheMs = 5_000, afterSilenceMs = 1_000, now = () => performance.now() } = options;
  let silentUntilMs = Number.NEGATIVE_INFINITY;

  const timeoutOf = (inItsPlace: InItsPlace): number | undefined => {
    if (inItsPlace === "none") return undefined;
    if (inItsPlace === "another request") return aloneMs;
    return now() < silentUntilMs ? Math.min(afterSilenceMs, withCacheMs) : withCacheMs;
  };

  return async (question, inItsPlace) => {
    const { signal: gone } = question;
    const timeoutMs = timeoutOf(inItsPlace);
    const late = new AbortController();
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => late.abort(), timeoutMs);
    try {
      const reply = await upstream.ask({ ...question, signal: AbortSignal.any([gone, late.signal]) });
      silentUntilMs = Number.NEGATIVE_INFINITY;
      return reply;
    } catch (err: unknown) {
      gone.throwIfAborted();
      if (!late.signal.aborted) throw err;
      // A pull asks many things: only the first of them waits for long. Short waits prove nothing of a slow registry.
      if (now() >= silentUntilMs) silentUntilMs = now() + silenceMs;
      throw new UpstreamSilent(`no answer within ${timeoutMs} ms`, { cause: err });
    } finally {
      clearTimeout(timer);
    }
  };
}

/** Whether an answer says that the registry, not the question, is at fault, or that nothing more is answered today. */
export function isFailure(status: number): boolean {
  return status === 429 || status === 500 || (status >= 502 && status <= 504);
}

const discardMs = 1_000;

/** Read an answer's body that is not wanted, so that its connection can be used again; a long one is broken off. */
export function discard(body: Readable): void {
  body.on("error", () => {}); // also of our own destroy()
  const timer = setTimeout(() => body.destroy(), discardMs).unref();
  body.once("close", () => clearTimeout(timer));
  body.resume();
}
