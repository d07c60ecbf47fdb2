/**
 * Asking the upstream without waiting for ever: how long depends on who could answer in its place.
 */
import type { Readable } from "node:stream";
import { RegistryUnreachable } from "#oci/errors.ts";
import type { HeadTimeouts, Question, Upstream, UpstreamReply } from "./upstream.ts";

/** The upstream has not begun to answer in time; asked for longer, it may. */
export class UpstreamSilent extends RegistryUnreachable {
  readonly waitedMs: number;

  constructor(waitedMs: number) {
    super(`no answer within ${waitedMs} ms`);
    this.waitedMs = waitedMs;
  }
}

/** What answers when the upstream does not: the cache, another request to the upstream, or nothing. */
export type InItsPlace = "cache" | "another request" | "none";

/**
 * Asks the upstream one question; the second argument says what answers when it does not. Where that is the cache, the
 * question goes on for half a minute: to slow upstreams more time is given again, and `onLate` hears what they say.
 *
 * @throws RegistryUnreachable; UpstreamSilent, never when nothing else could answer in its place.
 */
export type Ask = (question: Question, inItsPlace: InItsPlace, onLate?: OnLate) => Promise<UpstreamReply>;

/** Called with an answer that came after the cache's; without its body. */
export type OnLate = (reply: Pick<UpstreamReply, "status" | "headers">) => void;

const silenceMs = 30_000;
const lateMs = 30_000;
/** Questions at a time whose answers are late; beyond that they are broken off. */
const maxLate = 32;

/** Times, and `now` in milliseconds for tests. */
type AskOptions = { readonly [K in keyof HeadTimeouts]?: number | undefined } & { readonly now?: () => number };

export function createAsk(upstream: Upstream, options: AskOptions = {}): Ask {
  const { aloneMs = 10_000, withCacheMs = 4_000, afterSilenceMs = 1_000, now = () => performance.now() } = options;
  let silentUntilMs = Number.NEGATIVE_INFINITY;
  let late = 0;

  const timeoutOf = (inItsPlace: InItsPlace): number | undefined => {
    if (inItsPlace === "none") return undefined;
    if (inItsPlace === "another request") return aloneMs;
    return now() < silentUntilMs ? Math.min(afterSilenceMs, withCacheMs) : withCacheMs;
  };

  /** Whatever comes of it: its puller has been answered without. */
  const hearLate = async (answer: Promise<UpstreamReply>, gone: AbortSignal, onLate: OnLate) => {
    late += 1;
    try {
      const reply = await answer;
      silentUntilMs = Number.NEGATIVE_INFINITY;
      discard(reply.body);
      onLate(reply);
    } catch {
      // A pull asks many things: they need not all wait for long. That it is slow proves nothing.
      if (!gone.aborted) silentUntilMs = now() + silenceMs;
    } finally {
      late -= 1;
    }
  };

  return async (question, inItsPlace, onLate = () => {}) => {
    const { signal: gone } = question;
    const timeoutMs = timeoutOf(inItsPlace);
    const over = new AbortController();
    const answer = upstream.ask({ ...question, signal: AbortSignal.any([gone, over.signal]) });
    const reply = await (timeoutMs === undefined ? answer : within(answer, timeoutMs)).catch((err: unknown) => {
      gone.throwIfAborted();
      throw err;
    });
    if (reply !== undefined) {
      silentUntilMs = Number.NEGATIVE_INFINITY;
      return reply;
    }
    if (inItsPlace === "cache" && late < maxLate) {
      const timer = setTimeout(() => over.abort(), lateMs).unref();
      void hearLate(answer, gone, onLate).finally(() => clearTimeout(timer));
    } else {
      answer.catch(() => {}); // of our own abort
      over.abort();
    }
    throw new UpstreamSilent(timeoutMs!);
  };
}

/** Undefined when it takes longer. */
async function within<T>(answer: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, timeoutMs, undefined);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
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
