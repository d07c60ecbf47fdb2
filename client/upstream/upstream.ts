/**
 * The upstream of one registry, as the routes see it.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";

/** What the upstream says to one question. */
export interface UpstreamReply {
  readonly status: number;
  /** Those that are the puller's: end to end, `Location` and `Link` leading back here. */
  readonly headers: IncomingHttpHeaders;
  /** Whoever gets it reads it or destroys it; empty after a HEAD. */
  readonly body: Readable;
}

/** The registry behind these routes. */
export interface Upstream {
  /** Where it is, for messages. */
  readonly base: URL;
  /**
   * Ask the puller's own question, path and headers as they came, perhaps with another method and without its body.
   *
   * @param options - `signal` ends the question, and the reading of the answer.
   * @throws RegistryUnreachable when there is no answer. After an abort, anything.
   */
  ask(
    request: IncomingMessage,
    options: { readonly method: "GET" | "HEAD"; readonly signal: AbortSignal },
  ): Promise<UpstreamReply>;
  /** Pass the request on and the answer back, whatever they are; never rejects. */
  pass(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

/** How long the upstream may take to begin an answer, in milliseconds. */
export interface HeadTimeouts {
  /** When nothing else can answer: then a GET follows a HEAD that stayed silent. @defaultValue 10000 */
  readonly aloneMs: number;
  /** When the memory can answer instead. @defaultValue 5000 */
  readonly withMemoryMs: number;
  /** The same, for 30 s after it was silent. @defaultValue 1000 */
  readonly afterSilenceMs: number;
}
