/**
 * Requests to one registry as they go over the wire: raw paths, redirects, and errors in this room's terms.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { raceAbort } from "#base/waiting.ts";
import { RegistryUnreachable } from "./errors.ts";
import { unreachable } from "./foreign-errors.ts";

/** Names in lower case. */
export type Headers = Readonly<Record<string, string>>;

/** A request, without the Authorization. */
export interface Question {
  readonly method: "GET" | "HEAD";
  /** Below the registry's base, with query, as it goes over the wire. */
  readonly path: string;
  readonly headers: Headers;
  readonly followsRedirects: boolean;
  readonly headersTimeoutMs?: number | undefined;
}

/** An answer; `atHome` when it is of the registry itself, and not of where a redirect led. */
export type HttpAnswer = Dispatcher.ResponseData & { readonly atHome: boolean };

/** Where the registry is, and how it is reached. */
export interface RegistryHttpOptions {
  base: URL;
  dispatcher: Dispatcher;
  timeouts: { headersTimeout: number; bodyTimeout: number };
  onAnswer: (answer: { status: number; headers: IncomingHttpHeaders }) => void;
}

interface Target {
  readonly origin: string;
  readonly path: string;
}

const maxRedirects = 5;
const redirects = new Set([301, 302, 303, 307, 308]);

export class RegistryHttp {
  readonly #options: RegistryHttpOptions;
  readonly #home: Target;

  constructor(options: RegistryHttpOptions) {
    this.#options = options;
    this.#home = { origin: options.base.origin, path: options.base.pathname.replace(/\/+$/, "") };
  }

  /**
   * Ask, and follow at most 5 redirects if the question says so, without Authorization and cookies once the origin has
   * changed. The caller reads the body or destroys it.
   *
   * @throws RegistryUnreachable when there is no answer.
   */
  async ask(question: Question, authorization: string | undefined, signal: AbortSignal): Promise<HttpAnswer> {
    let target: Target = { origin: this.#home.origin, path: this.#home.path + question.path };
    let headers = authorized(question.headers, authorization);
    for (let hops = 0; hops <= maxRedirects; hops++) {
      const answer = await this.#requestTwice(question, target, headers, signal);
      if (!question.followsRedirects || !redirects.has(answer.statusCode)) return answer;
      const next = redirectTarget(answer, target);
      await drain(answer, signal);
      if (next.origin !== target.origin) headers = withoutSecrets(headers);
      target = next;
    }
    throw new RegistryUnreachable(`${describe(question, this.#home)}: more than ${maxRedirects} redirects`);
  }

  /** A registry may close a connection after an answer, which may go unseen until the next question: then once more. */
  async #requestTwice(question: Question, target: Target, headers: Headers, signal: AbortSignal): Promise<HttpAnswer> {
    try {
      return await this.#request(question, target, headers, signal);
    } catch (err: unknown) {
      if (isLostConnection(err)) return this.#request(question, target, headers, signal);
      throw err;
    }
  }

  async #request(question: Question, target: Target, headers: Headers, signal: AbortSignal): Promise<HttpAnswer> {
    const { dispatcher, timeouts, onAnswer } = this.#options;
    const { method, headersTimeoutMs: headersTimeout = timeouts.headersTimeout } = question;
    // undici ends the connection after a HEAD unless it is told not to.
    const request = { ...target, method, headers, signal, reset: false, ...timeouts, headersTimeout };
    try {
      // undici looks at the signal only when connected: an abort does not wait for that.
      const response = await raceAbort(dispatcher.request(request), signal);
      // A body that is destroyed early, or breaks while nobody reads, emits its error: without a listener that ends the
      // process. Whoever reads still gets it.
      response.body.on("error", () => {});
      const atHome = target.origin === this.#home.origin;
      if (atHome) onAnswer({ status: response.statusCode, headers: response.headers });
      return { ...response, atHome };
    } catch (err: unknown) {
      signal.throwIfAborted();
      throw unreachable(describe(question, target), err);
    }
  }
}

/** Read and forget a short body, so that its connection can be used again; a long one is cut off. */
export async function drain(answer: Pick<HttpAnswer, "body">, signal: AbortSignal): Promise<void> {
  await answer.body.dump({ limit: 64 * 1024, signal });
}

/** Whether the connection was gone before the answer came, as one that was kept alive may be, unseen. */
export function isLostConnection(err: unknown): boolean {
  const code =
    err instanceof RegistryUnreachable && err.cause instanceof Error && "code" in err.cause && err.cause.code;
  return code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE";
}

// Without the query: that of a redirect is often a signature.
function describe({ method }: Question, { origin, path }: Target): string {
  return `${method} ${origin}${path.split("?", 1)[0]}`;
}

function redirectTarget(answer: HttpAnswer, from: Target): Target {
  const location = answer.headers.location;
  const url = typeof location === "string" ? URL.parse(location, from.origin + from.path) : null;
  if (url?.protocol === "http:" || url?.protocol === "https:") {
    return { origin: url.origin, path: url.pathname + url.search };
  }
  answer.body.destroy();
  throw new RegistryUnreachable(
    `${from.origin}${from.path.split("?", 1)[0]} redirects to nowhere that HTTP can follow`,
  );
}

function authorized(headers: Headers, authorization: string | undefined): Headers {
  const { authorization: _, ...others } = headers;
  return authorization === undefined ? others : { ...others, authorization };
}

function withoutSecrets(headers: Headers): Headers {
  const { authorization: _a, cookie: _c, "proxy-authorization": _p, ...others } = headers;
  return others;
}
