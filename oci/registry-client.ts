/**
 * Reads from one registry over HTTP: authentication, redirects to its storage, and errors in this room's terms.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { type Auth, identityOf, TokenAuth } from "./auth.ts";
import { formatRange } from "./body-headers.ts";
import { ChallengedHttp } from "./challenged-http.ts";
import { type Connections, type Network, openConnections, type RegistryTls } from "./connections.ts";
import type { CredentialSource, Credentials } from "./credentials.ts";
import { DirectClient } from "./direct-client.ts";
import { type Body, bodyOf } from "./direct-get.ts";
import type { Digest } from "./reference.ts";
import { drain, type HttpAnswer, type Patience, RegistryHttp, translateErrors } from "./registry-http.ts";
import { type RegistryTrouble, whyNoRegistry, whyUnreachable } from "./registry-trouble.ts";

export type { Auth } from "./auth.ts";
export { RegistryUnreachable } from "./errors.ts";
export type { Patience } from "./registry-http.ts";

export interface RegistryResponse {
  /** 200, 206, 404, 401, 416 …; after redirects where they are followed. */
  status: number;
  /** Of the answer that has the status: of the registry itself when it refused. */
  headers: IncomingHttpHeaders;
  /** Fails with `RegistryUnreachable` when it breaks off. The caller reads it whole or destroys it. */
  body: Readable;
}

/** The answer to a GET of a blob. */
export type BlobResponse = RegistryResponse;

export interface RegistryClientOptions {
  /** Where `/v2/` is. */
  base: URL;
  /** Used to read, never to write. A source must not reject. */
  credentials?: Credentials | CredentialSource | undefined;
  /** How it is reached. @defaultValue directly, trusting whom Node trusts */
  network?: Network | undefined;
  /** @defaultValue nothing */
  tls?: RegistryTls | undefined;
  /** @defaultValue ndn-registry */
  userAgent?: string | undefined;
  /** How long the registry may take to begin its answer. @defaultValue 30000 */
  headersTimeoutMs?: number | undefined;
  /** How long it may pause within a body that is being read. @defaultValue 30000 */
  bodyTimeoutMs?: number | undefined;
  /** Called with every answer of the registry itself, challenges too, but for `getRange`: of `ratelimit-*`, of 429. Must not throw. */
  onAnswer?: ((answer: { status: number; headers: IncomingHttpHeaders }) => void) | undefined;
}

/** How a request is made. */
export interface RequestOptions {
  auth: Auth;
  headers?: Readonly<Record<string, string>> | undefined;
  /** What no one else could do, and so is waited for until the signal fires. @defaultValue nothing */
  patientWith?: Patience | undefined;
  signal: AbortSignal;
}

// A registry that redirects every blob, for example, need not be asked twice for each.
const maxDirectMisses = 4;

/** One registry, as a reader. Bytes are passed on as they come: nothing is decoded, nothing verified. */
export class RegistryClient {
  readonly base: URL;
  readonly #http: RegistryHttp;
  readonly #authenticated: ChallengedHttp;
  readonly #connections: Connections;
  readonly #openConnections: () => Connections;
  readonly #proxy: URL | undefined;
  readonly #userAgent: string;
  readonly #headersTimeoutMs: number;
  /** Direct GETs in succession that had no plain answer. */
  readonly #direct = new DirectClient();
  #directMisses = 0;

  constructor(options: RegistryClientOptions) {
    const { base, credentials, network, tls } = options;
    this.base = base;
    this.#openConnections = () => openConnections(base, network, tls);
    this.#connections = this.#openConnections();
    this.#proxy = network?.proxyFor(base);
    const dispatcher = this.#connections.dispatcher.compose(translateErrors);
    this.#userAgent = options.userAgent ?? "ndn-registry";
    this.#headersTimeoutMs = options.headersTimeoutMs ?? 30_000;
    const timeouts = { headersTimeout: this.#headersTimeoutMs, bodyTimeout: options.bodyTimeoutMs ?? 30_000 };
    this.#http = new RegistryHttp({ base, dispatcher, timeouts, onAnswer: options.onAnswer });
    const login = typeof credentials === "object" ? () => Promise.resolve(credentials) : credentials;
    this.#authenticated = new ChallengedHttp(this.#http, new TokenAuth({ registry: base, dispatcher }), login);
  }

  /**
   * GET a blob. At most 5 redirects are followed, without what the puller says of itself once the origin has changed.
   * A challenge of the registry is answered once, as `auth` allows.
   *
   * @throws RegistryUnreachable when there is no answer.
   */
  async getBlob(
    repository: string,
    digest: Digest,
    options: RequestOptions & { range?: { start: number; end?: number } | undefined },
  ): Promise<BlobResponse> {
    const range = options.range ? { range: formatRange(options.range.start, options.range.end) } : {};
    const headers = { ...this.#headersOf(options), ...range, ...notEncoded };
    const path = blobPath(repository, digest, options.auth);
    const request = { method: "GET", path, headers, followsRedirects: true, patientWith: options.patientWith } as const;
    return responseOf(await this.#authenticated.ask(request, options.auth, options.signal));
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
    options: { auth: Exclude<Auth, { kind: "puller" }>; range: { start: number; end: number }; signal: AbortSignal },
  ): Promise<Omit<BlobResponse, "body"> & { body: Body }> {
    const { auth, range, signal } = options;
    // A plain socket reads only what is asked in the clear, of the registry itself.
    const isDirect = this.base.protocol === "http:" && this.#proxy === undefined;
    if (isDirect && this.#directMisses < maxDirectMisses) {
      const path = `/v2/${repository}/blobs/${digest}`;
      const authorization = await this.#authenticated.cached(path, auth, signal);
      const headers = { range: formatRange(range.start, range.end), "user-agent": this.#userAgent, ...notEncoded };
      const url = new URL(this.base.pathname.replace(/\/+$/, "") + path, this.base);
      const withLogin = { ...headers, ...(authorization && { authorization }) };
      const answer = await this.#direct.get(url, withLogin, this.#headersTimeoutMs, signal);
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
    options: Omit<RequestOptions, "headers">,
  ): Promise<{ status: number; headers: IncomingHttpHeaders }> {
    const path = blobPath(repository, digest, options.auth);
    const headers = { ...this.#headersOf(options), ...notEncoded };
    const { patientWith } = options;
    const request = { method: "HEAD", path, headers, followsRedirects: true, patientWith } as const;
    const answer = await this.#authenticated.ask(request, options.auth, options.signal);
    await drain(answer, options.signal);
    return { status: answer.statusCode, headers: answer.headers };
  }

  /**
   * Ask for anything, under the same rules. Redirects are followed from what the distribution specification names (manifests,
   * blobs, lists); from other paths the registry leads to the one that was meant, which is the puller's to ask for.
   *
   * @param path - Below the base, with query, sent as it is.
   * @throws RegistryUnreachable when there is no answer.
   */
  async request(method: "GET" | "HEAD", path: string, options: RequestOptions): Promise<RegistryResponse> {
    const headers = { ...notEncoded, ...this.#headersOf(options) };
    const followsRedirects = isOfApi(path.split("?", 1)[0]!);
    const request = { method, path, headers, followsRedirects, patientWith: options.patientWith };
    return responseOf(await this.#authenticated.ask(request, options.auth, options.signal));
  }

  /**
   * In whose name, as a text that is the same for the same one and has no secret in it: what was granted to one is not
   * granted to another.
   */
  async identityOf(auth: Auth, signal: AbortSignal): Promise<string> {
    const isOwn = auth.kind === "puller" && auth.value !== undefined;
    return identityOf(auth, !isOwn && (await this.#authenticated.loginFor(auth, signal)) !== undefined);
  }

  /** What is wrong with the registry now; undefined when it answers `/v2/` as registries do. */
  async trouble(signal: AbortSignal): Promise<RegistryTrouble | undefined> {
    try {
      const request = { method: "GET", path: "/v2/", headers: {}, followsRedirects: false } as const;
      const answer = await this.#http.ask(request, undefined, signal);
      await drain(answer, signal);
      return whyNoRegistry(answer.statusCode, answer.headers, this.base);
    } catch (err: unknown) {
      return whyUnreachable(err, signal, this.base, this.#proxy);
    }
  }

  /** A puller's headers, also its User-Agent, as far as no other ones are given. */
  #headersOf({ auth, headers }: Pick<RequestOptions, "auth" | "headers">): Record<string, string> {
    const sent = auth.kind === "puller" ? auth.sent?.headers : undefined;
    return { "user-agent": this.#userAgent, ...sent, ...(headers && lowerCased(headers)) };
  }

  /** More connections to the same registry, for what is not read with this client; the caller closes them. */
  openConnections(): Connections {
    return this.#openConnections();
  }

  /** Ends the client's own connections; reads that are still running break off. */
  async close(): Promise<void> {
    this.#direct.close();
    await this.#connections.close();
  }
}

function responseOf({ statusCode: status, headers, body }: HttpAnswer): RegistryResponse {
  return { status, headers, body };
}

const notEncoded = { "accept-encoding": "identity" } as const;

function blobPath(repository: string, digest: Digest, auth: Auth): string {
  return `/v2/${repository}/blobs/${digest}${(auth.kind === "puller" && auth.sent?.query) || ""}`;
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** Whether it is the path of something to read (OCI distribution-spec, Endpoints), written without escapes or detours. */
function isOfApi(path: string): boolean {
  const isClean = !/%|\/\.{0,2}\//.test(path);
  return (
    isClean && /^\/v2\/(?:_catalog|.+\/(?:manifests\/\w[^/]*|(?:blobs|referrers)\/[^/]+:[^/]+|tags\/list))?$/.test(path)
  );
}
