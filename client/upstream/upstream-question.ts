/**
 * Asking the upstream without waiting for ever: how long depends on who could answer in its place.
 */
import type { Readable } from "node:stream";
import { RegistryUnreachable } from "#oci/errors.ts";
import { UpstreamWait, type WaitOptions, within } from "../registries/upstream-wait.ts";
import type { Question, Upstream, UpstreamReply } from "./upstream.ts";

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

export interface AskOptions extends WaitOptions {
  /** How long an answer may take when nothing else can answer, but a GET follows the HEAD. @defaultValue 10000 */
  readonly aloneMs?: number | undefined;
}

export function createAsk(upstream: Upstream, { aloneMs = 10_000, ...options }: AskOptions = {}): Ask {
  const wait = new UpstreamWait(options);

  return async (question, inItsPlace, onLate = () => {}) => {
    const { signal: gone } = question;
    const over = new AbortController();
    const answer = wait.watch(upstream.ask({ ...question, signal: AbortSignal.any([gone, over.signal]) }));
    const timeoutMs = inItsPlace === "cache" ? wait.nextMs : aloneMs;
    const soon = {
      none: () => answer,
      "another request": () => within(answer, timeoutMs),
      cache: () => wait.inTime(answer, over, gone),
    }[inItsPlace];
    const reply = await soon().catch((err: unknown) => {
      gone.throwIfAborted();
      throw err;
    });
    if (reply !== undefined) return reply;
    if (inItsPlace === "another request") over.abort();
    answer
      .then((late) => {
        discard(late.body);
        onLate(late);
      })
      .catch(() => {}); // its puller has been answered without
    throw new UpstreamSilent(timeoutMs);
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
