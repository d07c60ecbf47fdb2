/**
 * Requests to one registry as they go over the wire: raw paths, redirects, errors in this room's terms.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { raceAbort } from "#base/waiting.ts";
import { HelpFailed, LoginWanted, type RegistryAnswer, RegistryUnreachable, unreachable } from "./errors.ts";
import { redirectStatuses, webUrl } from "./redirect.ts";

/** Names in lower case. */
export type Headers = Readonly<Record<string, string>>;

/** A request, without the Authorization. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD";
  /** Below the registry's base, with query, as it goes over the wire. */
  readonly path: string;
  readonly headers: Headers;
  readonly followsRedirects: boolean;
  /** What has no time-out; they are for those who can ask elsewhere. @defaultValue nothing */
  readonly patientWith?: Patience | undefined;
}

/** The answer and its body, or the body alone. */
export type Patience = "answer" | "body";

/** An answer; `atHome` when it is of the registry itself, and not of where a redirect led, `from` what has answered. */
export type HttpAnswer = Dispatcher.ResponseData & { readonly atHome: boolean; readonly from: Target };

/** Where the registry is, and how it is reached. */
export interface RegistryHttpOptions {
  base: URL;
  dispatcher: Dispatcher;
  timeouts: { headersTimeout: number; bodyTimeout: number };
  /** Called with every answer of the registry itself. */
  onAnswer: ((answer: { status: number; headers: IncomingHttpHeaders }) => void) | undefined;
}

/** A URL, as it is requested. */
interface Target {
  readonly origin: string;
  readonly path: string;
}

const maxRedirects = 5;
const noTimeouts = { answer: { headersTimeout: 0, bodyTimeout: 0 }, body: { bodyTimeout: 0 } } as const;
const maxAnswerBytes = 64 * 1024;
/** How long the body of an answer is read of which the head is enough. */
const restMs = 2_000;

/** Requests as they are, with the Authorization that they are given. */
export class RegistryHttp {
  readonly #options: RegistryHttpOptions;
  readonly #home: Target;

  constructor(options: RegistryHttpOptions) {
    this.#options = options;
    this.#home = { origin: options.base.origin, path: options.base.pathname.replace(/\/+$/, "") };
  }

  /**
   * Ask, and follow at most 5 redirects if `followsRedirects`, only with what says what is wanted once the origin has
   * changed. The caller reads the body or destroys it.
   *
   * @throws RegistryUnreachable when there is no answer; HelpFailed when there is none where a redirect leads.
   */
  async ask(request: HttpRequest, authorization: string | undefined, signal: AbortSignal): Promise<HttpAnswer> {
    const { authorization: _, ...others } = request.headers;
    const headers: Headers = authorization === undefined ? others : { ...others, authorization };
    const target = { origin: this.#home.origin, path: this.#home.path + request.path };
    const answer = await this.#request(request, target, headers, signal);
    if (!request.followsRedirects || !redirectStatuses.has(answer.statusCode)) return answer;
    return this.#follow(request, answer, headers, signal);
  }

  /** @throws HelpFailed also when another host wants a login: it is the puller that may have one there. */
  async #follow(request: HttpRequest, first: HttpAnswer, sent: Headers, signal: AbortSignal): Promise<HttpAnswer> {
    const own = await readAnswer(first);
    try {
      let [from, location, headers] = [first.from, first.headers.location, sent];
      for (let hops = 1; hops <= maxRedirects; hops++) {
        const target = redirectTarget(location, from);
        if (target.origin !== from.origin) headers = forStranger(headers);
        const answer = await this.#askAt(request, target, headers, signal);
        if (answer.statusCode === 401 && !answer.atHome) {
          answer.body.destroy();
          throw new LoginWanted(`${describe(request, target)} wants a login of its own`);
        }
        if (!redirectStatuses.has(answer.statusCode)) return answer;
        await drain(answer, signal);
        [from, location] = [target, answer.headers.location];
      }
      throw new RegistryUnreachable(`${describe(request, first.from)}: more than ${maxRedirects} redirects`);
    } catch (err: unknown) {
      throw err instanceof RegistryUnreachable ? new HelpFailed(err, absolute(own, first.from)) : err;
    }
  }

  /** What lies beside the registry's API is often signed, and refuses two proofs: Authorization is for when it is refused. */
  async #askAt(request: HttpRequest, target: Target, headers: Headers, signal: AbortSignal): Promise<HttpAnswer> {
    const { authorization, ...others } = headers;
    if (authorization === undefined || target.path.startsWith(`${this.#home.path}/v2/`))
      return this.#request(request, target, headers, signal);
    const answer = await this.#request(request, target, others, signal);
    if (!isRefusal(answer)) return answer;
    await drain(answer, signal);
    return this.#request(request, target, headers, signal);
  }

  /** A registry may close a connection after an answer, which may go unseen until the next request: then once more. */
  async #request(
    request: HttpRequest,
    target: Target,
    headers: Headers,
    signal: AbortSignal,
    isRetry = false,
  ): Promise<HttpAnswer> {
    const { dispatcher, timeouts, onAnswer } = this.#options;
    const { method, patientWith } = request;
    const times = { ...timeouts, ...(patientWith && noTimeouts[patientWith]) };
    // undici ends the connection after a HEAD unless it is told not to.
    const options = { ...target, method, headers, signal, reset: false, ...times };
    try {
      // undici looks at the signal only when connected: an abort does not wait for that.
      const response = await raceAbort(dispatcher.request(options), signal);
      // A body that is destroyed early, or breaks while no one reads, emits its error: without a listener that ends the
      // process. Its reader still gets it.
      response.body.on("error", () => {});
      const atHome = target.origin === this.#home.origin;
      if (atHome) onAnswer?.({ status: response.statusCode, headers: response.headers });
      return { ...response, atHome, from: target };
    } catch (err: unknown) {
      signal.throwIfAborted();
      const failure = unreachable(describe(request, target), err);
      if (isRetry || !isLostConnection(failure)) throw failure;
      return this.#request(request, target, headers, signal, true);
    }
  }
}

/** The answer with the beginning of its body; registries may break off the bodies of their own refusals. */
export async function readAnswer({ statusCode: status, headers, body }: HttpAnswer): Promise<RegistryAnswer> {
  const pieces: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => body.destroy(), restMs);
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      pieces.push(piece);
      size += piece.length;
      if (size >= maxAnswerBytes) break;
    }
  } catch {
    // what has come is what there is
  } finally {
    clearTimeout(timer);
  }
  return { status, headers, body: Buffer.concat(pieces).subarray(0, maxAnswerBytes) };
}

/** Read and forget a short body, so that its connection can be used again; one that is long or slow is cut off. */
export async function drain({ body }: Pick<HttpAnswer, "body">, signal: AbortSignal): Promise<void> {
  const timer = setTimeout(() => body.destroy(), restMs);
  try {
    await body.dump({ limit: maxAnswerBytes, signal });
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the connection was gone before the answer came, as one that was kept alive may be, unseen. */
export function isLostConnection(err: unknown): boolean {
  const code =
    err instanceof RegistryUnreachable && err.cause instanceof Error && "code" in err.cause && err.cause.code;
  return code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE";
}

// Without the query: that of a redirect is often a signature.
function describe({ method }: { method: string }, { origin, path }: Target): string {
  return `${method} ${origin}${path.split("?", 1)[0]}`;
}

function redirectTarget(location: string | string[] | undefined, from: Target): Target {
  const url = typeof location === "string" ? webUrl(location, from.origin + from.path) : undefined;
  if (url !== undefined) return { origin: url.origin, path: url.pathname + url.search };
  throw new RegistryUnreachable(
    `${from.origin}${from.path.split("?", 1)[0]} redirects to nowhere that HTTP can follow`,
  );
}

/** A redirect as the puller, which has asked at another address, can follow it. */
function absolute(answer: RegistryAnswer, { origin, path }: Target): RegistryAnswer {
  const { location } = answer.headers;
  const href = location === undefined ? undefined : URL.parse(location, origin + path)?.href;
  return href === undefined ? answer : { ...answer, headers: { ...answer.headers, location: href } };
}

/** What says what is wanted; of any other header a stranger need not know (Fetch § 4.4 drops only Authorization). */
function forStranger(headers: Headers): Headers {
  const isWanted = ([name]: [string, string]) => /^(?:accept(?:-.*)?|user-agent|range|if-.*)$/.test(name);
  return Object.fromEntries(Object.entries(headers).filter(isWanted));
}

/** Whether the registry itself refuses. */
export function isRefusal({ statusCode, atHome }: HttpAnswer): boolean {
  return atHome && (statusCode === 401 || statusCode === 403);
}

/** Interceptor for `dispatcher.compose()`: errors of undici become `RegistryUnreachable`, all else is passed on. */
export function translateErrors(dispatch: Dispatcher.Dispatch): Dispatcher.Dispatch {
  return (options, handler) =>
    dispatch(options, {
      onRequestStart: handler.onRequestStart?.bind(handler),
      onResponseStart: handler.onResponseStart?.bind(handler),
      onResponseData: handler.onResponseData?.bind(handler),
      onResponseEnd: handler.onResponseEnd?.bind(handler),
      onResponseError(controller, err) {
        const failure = () =>
          unreachable(describe(options, { origin: String(options.origin), path: options.path }), err);
        handler.onResponseError?.(controller, controller?.aborted ? err : failure());
      },
    } as Dispatcher.DispatchHandler);
}
