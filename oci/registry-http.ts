/**
 * Requests to one registry: `RegistryHttp` makes them as they go over the wire (raw paths, redirects, errors in this
 * room's terms), `ChallengedHttp` in a puller's or the client's name, with the registry's challenges answered.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { raceAbort } from "#base/waiting.ts";
import { type Auth, accessTo, type Need, type TokenAuth } from "./auth.ts";
import { parseChallenges } from "./challenge.ts";
import type { CredentialSource, Credentials } from "./credentials.ts";
import { HelpFailed, type RegistryAnswer, RegistryUnreachable, unreachable } from "./errors.ts";

/** Names in lower case. */
export type Headers = Readonly<Record<string, string>>;

/** A request, without the Authorization. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD";
  /** Below the registry's base, with query, as it goes over the wire. */
  readonly path: string;
  readonly headers: Headers;
  readonly followsRedirects: boolean;
  /** Whether it has no time-outs; they are for those who can ask elsewhere. @defaultValue false */
  readonly isPatient?: boolean | undefined;
}

/** An answer; `atHome` when it is of the registry itself, and not of where a redirect led. */
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
const noTimeouts = { headersTimeout: 0, bodyTimeout: 0 };
const redirects = new Set([301, 302, 303, 307, 308]);
const maxAnswerBytes = 64 * 1024;

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
   * @throws RegistryUnreachable when there is no answer.
   */
  async ask(request: HttpRequest, authorization: string | undefined, signal: AbortSignal): Promise<HttpAnswer> {
    let target: Target = { origin: this.#home.origin, path: this.#home.path + request.path };
    const { authorization: _, ...others } = request.headers;
    let headers: Headers = authorization === undefined ? others : { ...others, authorization };
    for (let hops = 0; hops <= maxRedirects; hops++) {
      const answer = await this.#request(request, target, headers, signal);
      if (!request.followsRedirects || !redirects.has(answer.statusCode)) return answer;
      const next = redirectTarget(answer, target);
      await drain(answer, signal);
      if (next.origin !== target.origin) headers = forStranger(headers);
      target = next;
    }
    throw new RegistryUnreachable(`${describe(request, this.#home)}: more than ${maxRedirects} redirects`);
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
    const { method, isPatient } = request;
    // undici ends the connection after a HEAD unless it is told not to.
    const options = { ...target, method, headers, signal, reset: false, ...(isPatient ? noTimeouts : timeouts) };
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

/** Requests in a puller's or the client's name: the registry's challenges are answered once, as far as that name allows. */
export class ChallengedHttp {
  readonly #http: RegistryHttp;
  readonly #tokens: TokenAuth;
  readonly #credentials: CredentialSource | undefined;

  /** @param credentials - Never rejects. */
  constructor(http: RegistryHttp, tokens: TokenAuth, credentials: CredentialSource | undefined) {
    this.#http = http;
    this.#tokens = tokens;
    this.#credentials = credentials;
  }

  /** @throws RegistryUnreachable when the registry gives no answer; HelpFailed when only its token service does not. */
  async ask(request: HttpRequest, auth: Auth, signal: AbortSignal): Promise<HttpAnswer> {
    if (auth.kind !== "puller")
      return (await this.#askAs(request, auth, [await this.loginFor(auth, signal)], signal)).answer;
    if (auth.value !== undefined) {
      const answer = await this.#http.ask(request, auth.value, signal);
      if (!auth.orWithout || !isRefusal(answer)) return answer;
      await drain(answer, signal);
    }
    return this.#askForPuller(request, auth, signal);
  }

  /** The Authorization that is at hand for this path, without asking the registry. */
  async cached(
    path: string,
    auth: Exclude<Auth, { kind: "puller" }>,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    return this.#tokens.cachedFor(path, await this.loginFor(auth, signal));
  }

  /** The credentials that this name may use. */
  async loginFor(auth: Auth, signal: AbortSignal): Promise<Credentials | undefined> {
    if (auth.kind === "anonymous" || this.#credentials === undefined) return undefined;
    return raceAbort(this.#credentials(), signal);
  }

  /** A login that is no longer good must not keep public images away: then it is anonymous. */
  async #askForPuller(request: HttpRequest, auth: Auth, signal: AbortSignal): Promise<HttpAnswer> {
    const login = await this.loginFor({ kind: "login" }, signal);
    const { answer, sent } = await this.#askAs(request, auth, login ? [login, undefined] : [undefined], signal);
    if (sent === undefined || !isRefusal(answer)) return answer;
    // What the registry says to our token ("insufficient_scope", "denied") is not what tells a puller to log in.
    await drain(answer, signal);
    return this.#http.ask(request, undefined, signal);
  }

  /** Ask with a token that is at hand, else as the challenge demands: with the first of `logins` that gets an answer. */
  async #askAs(
    request: HttpRequest,
    auth: Auth,
    logins: readonly (Credentials | undefined)[],
    signal: AbortSignal,
  ): Promise<{ answer: HttpAnswer /** The Authorization. */; sent: string | undefined }> {
    const first = this.#tokens.cachedFor(request.path, logins[0]);
    const answer = await this.#http.ask(request, first, signal);
    if (answer.statusCode !== 401 || !answer.atHome) return { answer, sent: first };
    const needs = logins.map((credentials) => ({ ...accessTo(request.path), credentials }));
    if (first !== undefined) this.#tokens.forget(needs[0]!, first);
    try {
      const authorization = await this.#authorize(answer, auth, needs, signal);
      if (authorization === undefined) return { answer, sent: first };
      await drain(answer, signal);
      const { value } = authorization;
      const second = await this.#http.ask(request, value, signal);
      if (second.statusCode === 401 && second.atHome) this.#tokens.forget(authorization.need, value);
      return { answer: second, sent: value };
    } catch (err: unknown) {
      answer.body.destroy();
      throw err;
    }
  }

  /**
   * An Authorization for the first need and challenge that has one; Bearer before Basic.
   *
   * @throws HelpFailed when there might have been one.
   */
  async #authorize(answer: HttpAnswer, auth: Auth, needs: readonly Need[], signal: AbortSignal) {
    const { headers, from } = answer;
    const asked = from.origin + from.path;
    const challenges = parseChallenges(headers["www-authenticate"]).sort((a, b) => b.scheme.localeCompare(a.scheme));
    let failure: RegistryUnreachable | undefined;
    for (const need of needs) {
      for (const challenge of challenges) {
        try {
          // A puller takes no relative realm from a registry: without a login of ours the 401 is as good as it was.
          const isForPuller = auth.kind === "puller" && need.credentials === undefined;
          const value = await this.#tokens.authorize(challenge, need, isForPuller ? undefined : asked, signal);
          if (value !== undefined) return { need, value };
        } catch (err: unknown) {
          if (!(err instanceof RegistryUnreachable)) throw err;
          failure ??= err;
        }
      }
    }
    if (failure) throw new HelpFailed(failure, await readAnswer(answer));
    return undefined;
  }
}

/** The answer with the beginning of its body; registries may break off the bodies of their own refusals. */
async function readAnswer({ statusCode: status, headers, body }: HttpAnswer): Promise<RegistryAnswer> {
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      pieces.push(piece);
      size += piece.length;
      if (size >= maxAnswerBytes) break;
    }
  } catch {
    // what has come is what there is
  }
  return { status, headers, body: Buffer.concat(pieces).subarray(0, maxAnswerBytes) };
}

/** Read and forget a short body, so that its connection can be used again; a long one is cut off. */
export async function drain(answer: Pick<HttpAnswer, "body">, signal: AbortSignal): Promise<void> {
  await answer.body.dump({ limit: maxAnswerBytes, signal });
}

/** Whether the connection was gone before the answer came, as one that was kept alive may be, unseen. */
export function isLostConnection(err: unknown): boolean {
  const code =
    err instanceof RegistryUnreachable && err.cause instanceof Error && "code" in err.cause && err.cause.code;
  return code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE";
}

// Without the query: that of a redirect is often a signature.
function describe({ method }: HttpRequest, { origin, path }: Target): string {
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

/** What says what is wanted; of any other header a stranger need not know (Fetch § 4.4 drops only Authorization). */
function forStranger(headers: Headers): Headers {
  const isWanted = ([name]: [string, string]) => /^(?:accept(?:-.*)?|user-agent|range|if-.*)$/.test(name);
  return Object.fromEntries(Object.entries(headers).filter(isWanted));
}

function isRefusal({ statusCode, atHome }: HttpAnswer): boolean {
  return atHome && (statusCode === 401 || statusCode === 403);
}
