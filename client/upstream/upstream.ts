/**
 * The upstream of one registry, as the routes see it; also for those who ask without a puller's HTTP request at hand.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { AskedAs, Puller, RequestContext } from "../registries/router.ts";

/** What is asked for: a manifest, a list, or how the registry welcomes a puller at `/v2/` (the ping). */
export type Target =
  | { readonly repository: string; readonly reference: string }
  /** The path of a list of tags, of repositories or of referrers. */
  | { readonly list: string }
  /** The path, `/v2/` or `/v2`. */
  | { readonly ping: string };

/** One question, which only reads. */
export type Question = Target & {
  readonly method: "GET" | "HEAD";
  /** Media types that the asker takes. */
  readonly accept: string | undefined;
  readonly puller: Puller;
  /** What the puller's own request says besides, where there is one. */
  readonly sent?: SentByPuller | undefined;
  /** Ends the question, and the reading of the answer. */
  readonly signal: AbortSignal;
};

/** A puller's request as data: what the answer may depend on, and how its URLs are written. */
export interface SentByPuller {
  /** End-to-end headers in their order: name, value, name, value … */
  readonly headers: readonly string[];
  /** With its question mark; empty without one. */
  readonly query: string;
  /** The origin that the puller used; undefined when it did not say. */
  readonly endpoint: string | undefined;
  readonly askedAs: AskedAs;
}

/** What the upstream says to one question. */
export interface UpstreamReply {
  readonly status: number;
  /** Those that are the puller's: end to end, `Location` and `Link` leading back here. */
  readonly headers: IncomingHttpHeaders;
  /** To be read or destroyed by the caller; empty after a HEAD. */
  readonly body: Readable;
  /** What would be the body of a GET, where an answer to HEAD has brought it as well; it hashes to the digest that is named. */
  readonly inline?: Buffer | undefined;
  /** @defaultValue upstream */
  readonly by?: "upstream" | "ndn" | undefined;
}

/** The registry behind these routes. */
export interface Upstream {
  /** Where it is, for messages; undefined where it is reached over NDN alone. */
  readonly base: URL | undefined;
  /** @throws RegistryUnreachable when there is no answer. After an abort, anything. */
  ask(question: Question): Promise<UpstreamReply>;
  /**
   * Pass the request on and the answer back, whatever they are; never rejects. Resolves to the status, undefined when
   * there was no answer.
   */
  pass(context: RequestContext): Promise<number | undefined>;
}
