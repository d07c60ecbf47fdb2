/**
 * Reads blobs from one registry over HTTP: authentication, redirects to its storage, and errors in this room's terms.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { Agent, type Dispatcher } from "undici";
import { abortable } from "./abortable.ts";
import { type Body, bodyOf } from "./body.ts";
import type { Digest } from "./digest.ts";
import { directGet } from "./direct-get.ts";
import { RegistryUnreachable } from "./errors.ts";
import { translateErrors, unreachable } from "./foreign-errors.ts";
import { formatRange } from "./range.ts";
import { type Credentials, parseChallenges, TokenAuth } from "./token-auth.ts";

export { RegistryUnreachable } from "./errors.ts";

/**
 * In whose name a request is made. `header` is the puller's own Authorization, passed on verbatim: a challenge to it is
 * the puller's to answer, never ours.
 */
export type Auth = { kind: "anonymous" } | { kind: "login" } | { kind: "header"; value: string | undefined };

export interface BlobResponse {
  /** After redirects: 200, 206, 404, 401, 416 … */
  status: number;
  /** Of the answer that has the status: of the registry itself when it refused. */
  headers: IncomingHttpHeaders;
  /** Fails with `RegistryUnreachable` when it breaks off. The caller reads it whole or destroys it. */
  body: Readable;
}

export interface RegistryClientOptions {
  /** Where `/v2/` is. */
  base: URL;
  credentials?: Credentials | undefined;
  /** Stays the caller's to close. @defaultValue an Agent of its own, ended by `close()` */
  dispatcher?: Dispatcher | undefined;
  /** @defaultValue ndn-registry */
  userAgent?: string | undefined;
  /** How long the registry may take to begin its answer. @defaultValue 30000 */
  headersTimeoutMs?: number | undefined;
  /** How long it may pause within a body that is being read. @defaultValue 30000 */
  bodyTimeoutMs?: number | undefined;
}

type Headers = Record<string, string>;
type Method = "GET" | "HEAD";

const maxRedirects = 5;
const redirects = new Set([301, 302, 303, 307, 308]);
const connectTimeoutMs = 10_000;
// A registry that redirects every blob, for example, need not be asked twice for each.
const maxDirectMisses = 4;

/** One registry, as a reader of blobs. Bytes are passed on as they come: nothing is decoded, nothing verified. */
export class RegistryClient {
  readonly base: URL;
  readonly #tokens: TokenAuth;
  readonly #dispatcher: Dispatcher;
  readonly #ownAgent: Agent | undefined;
  readonly #userAgent: string;
  readonly #timeouts: { headersTimeout: number; bodyTimeout: number };
  #directMisses = 0;

  constructor(options: RegistryClientOptions) {
    this.base = options.base;
    this.#ownAgent = options.dispatcher ? undefined : new Agent({ connectTimeout: connectTimeoutMs });
    this.#dispatcher = (options.dispatcher ?? this.#ownAgent!).compose(translateErrors);
    this.#tokens = new TokenAuth({
      registry: options.base,
      credentials: options.credentials,
      dispatcher: this.#dispatcher,
    });
    this.#userAgent = options.userAgent ?? "ndn-registry";
    this.#timeouts = {
      headersTimeout: options.headersTimeoutMs ?? 30_000,
      bodyTimeout: options.bodyTimeoutMs ?? 30_000,
    };
  }

  /**
   * GET a blob. At most 5 redirects are followed, without Authorization and cookies once the origin has changed.
   * A challenge of the registry is answered once, as `auth` allows.
   *
   * @throws RegistryUnreachable when there is no answer.
   */
  async getBlob(
    repository: string,
    digest: Digest,
    options: {
      auth: Auth;
      range?: { start: number; end?: number } | undefined;
      headers?: Headers | undefined;
      signal: AbortSignal;
    },
  ): Promise<BlobResponse> {
    const range: Headers = options.range ? { range: formatRange(options.range.start, options.range.end) } : {};
    const headers = { ...lowerCased(options.headers ?? {}), ...range };
    const response = await this.#ask("GET", repository, digest, headers, options);
    return { status: response.statusCode, headers: response.headers, body: response.body };
  }

  /**
   * GET a range of a blob to read it into memory of one's own. Of a registry that is asked in the clear, as one on the
   * same host is, the bytes come without a detour through buffers of the HTTP library.
   *
   * @throws RegistryUnreachable when there is no answer.
   */
  async getRange(
    repository: string,
    digest: Digest,
    options: { auth: Exclude<Auth, { kind: "header" }>; range: { start: number; end: number }; signal: AbortSignal },
  ): Promise<Omit<BlobResponse, "body"> & { body: Body }> {
    const url = new URL(`${this.base.pathname.replace(/\/+$/, "")}/v2/${repository}/blobs/${digest}`, this.base);
    if (url.protocol === "http:" && this.#ownAgent && this.#directMisses < maxDirectMisses) {
      const { auth, range, signal } = options;
      const known = this.#tokens.cached(`repository:${repository}:pull`, auth.kind === "login");
      const headers = { range: formatRange(range.start, range.end), "user-agent": this.#userAgent };
      const answer = await directGet(url, authorized(headers, known), this.#timeouts.headersTimeout, signal);
      this.#directMisses = answer ? 0 : this.#directMisses + 1;
      if (answer) return answer;
    }
    const response = await this.getBlob(repository, digest, options);
    return { ...response, body: bodyOf(response.body) };
  }

  /** HEAD of a blob, under the same rules. */
  async headBlob(
    repository: string,
    digest: Digest,
    options: { auth: Auth; signal: AbortSignal },
  ): Promise<{ status: number; headers: IncomingHttpHeaders }> {
    const response = await this.#ask("HEAD", repository, digest, {}, options);
    await drain(response, options.signal);
    return { status: response.statusCode, headers: response.headers };
  }

  /** Whether the registry answers at all, whatever it says, within the signal's time. */
  async isReachable(signal: AbortSignal): Promise<boolean> {
    try {
      const url = new URL(`${this.base.pathname.replace(/\/+$/, "")}/v2/`, this.base);
      await drain(await this.#request("GET", url, {}, signal), signal);
      return true;
    } catch {
      return false; // that is the answer
    }
  }

  /** Ends the client's own connections; reads that are still running break off. */
  async close(): Promise<void> {
    await this.#ownAgent?.destroy();
  }

  async #ask(
    method: Method,
    repository: string,
    digest: Digest,
    extra: Headers,
    { auth, signal }: { auth: Auth; signal: AbortSignal },
  ): Promise<Dispatcher.ResponseData> {
    const url = new URL(`${this.base.pathname.replace(/\/+$/, "")}/v2/${repository}/blobs/${digest}`, this.base);
    const scope = `repository:${repository}:pull`;
    const login = auth.kind === "login";
    const first = auth.kind === "header" ? auth.value : this.#tokens.cached(scope, login);
    const headers: Headers = { ...extra, "user-agent": this.#userAgent, "accept-encoding": "identity" };
    const response = await this.#follow(method, url, authorized(headers, first), signal);
    if (response.statusCode !== 401 || auth.kind === "header" || !response.atHome) return response;

    if (first !== undefined) this.#tokens.forget(scope, login, first);
    const answer = await this.#answer(response, scope, login, signal);
    if (answer === undefined) return response;
    await drain(response, signal);
    return this.#follow(method, url, authorized(headers, answer), signal);
  }

  /** An Authorization for the first challenge that has one; Bearer before Basic. */
  async #answer(
    { headers, body }: Dispatcher.ResponseData,
    scope: string,
    login: boolean,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const challenges = parseChallenges(headers["www-authenticate"]).sort((a, b) => b.scheme.localeCompare(a.scheme));
    try {
      for (const challenge of challenges) {
        const value = await this.#tokens.authorize(challenge, scope, login, signal);
        if (value !== undefined) return value;
      }
      return undefined;
    } catch (err: unknown) {
      body.destroy();
      throw err;
    }
  }

  async #follow(
    method: Method,
    from: URL,
    firstHeaders: Headers,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData & { atHome: boolean }> {
    let [url, headers] = [from, firstHeaders];
    for (let hops = 0; hops <= maxRedirects; hops++) {
      const response = await this.#request(method, url, headers, signal);
      if (!redirects.has(response.statusCode)) return { ...response, atHome: url.origin === from.origin };
      const next = redirectTarget(response, url);
      await drain(response, signal);
      if (next.origin !== url.origin) headers = withoutSecrets(headers);
      url = next;
    }
    throw new RegistryUnreachable(`${method} ${from.href}: more than ${maxRedirects} redirects`);
  }

  async #request(method: Method, url: URL, headers: Headers, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const path = url.pathname + url.search;
    // undici ends the connection after a HEAD unless it is told not to.
    const request = { origin: url.origin, path, method, headers, signal, reset: false, ...this.#timeouts };
    try {
      // undici looks at the signal only when connected: an abort does not wait for that.
      const response = await abortable(this.#dispatcher.request(request), signal);
      // A body that is destroyed early, or breaks while nobody reads, emits its error: without a listener that ends the
      // process. Whoever reads still gets it.
      response.body.on("error", () => {});
      return response;
    } catch (err: unknown) {
      signal.throwIfAborted();
      throw unreachable(`${method} ${url.origin}${url.pathname}`, err);
    }
  }
}

/** Read and forget a short body, so that its connection can be used again; a long one is cut off. */
async function drain(response: Dispatcher.ResponseData, signal: AbortSignal): Promise<void> {
  await response.body.dump({ limit: 64 * 1024, signal });
}

function redirectTarget(response: Dispatcher.ResponseData, from: URL): URL {
  const location = response.headers.location;
  const url = typeof location === "string" ? URL.parse(location, from.href) : null;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  response.body.destroy();
  throw new RegistryUnreachable(`${from.origin}${from.pathname} redirects to nowhere that HTTP can follow`);
}

function authorized(headers: Headers, authorization: string | undefined): Headers {
  const { authorization: _, ...others } = headers;
  return authorization === undefined ? others : { ...others, authorization };
}

function withoutSecrets(headers: Headers): Headers {
  const { authorization: _a, cookie: _c, "proxy-authorization": _p, ...others } = headers;
  return others;
}

function lowerCased(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
