/**
 * In whose name the registry is asked, and the answers to its challenges: the login itself (Basic), or a token that the
 * registry's token service gives for it (Bearer; distribution-spec, "Token Authentication Specification").
 *
 * Credentials go to the registry itself and to the realm that the registry itself names, nowhere else.
 */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Dispatcher } from "undici";
import { raceAbort } from "#base/waiting.ts";
import type { Challenge } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import { RegistryUnreachable } from "./errors.ts";
import { webUrl } from "./redirect.ts";
import { isRepository } from "./reference.ts";
import { basic, fetchToken, type Token, type TokenQuery } from "./token-service.ts";

/**
 * In whose name a request is made.
 *
 * `login` is the client's own credentials, where it has them. `puller` is a puller's Authorization, passed on verbatim: a
 * challenge to it is the puller's to answer. A puller without one gets what `login` gets, or else what is anonymous; when
 * that is refused, the registry's own challenge comes back, so that the puller can log in.
 */
export type Auth = { readonly kind: "anonymous" } | { readonly kind: "login" } | PullerAuth;

/** A puller's Authorization, and what else it says wherever it reads: a gate before the registry may ask for that. */
export interface PullerAuth {
  readonly kind: "puller";
  readonly value: string | undefined;
  /** When `value` is refused, continue as without it. @defaultValue false */
  readonly orWithout?: boolean;
  /** @defaultValue nothing */
  readonly sent?: PullerSent | undefined;
}

/** What is sent with each read in a puller's name. */
export interface PullerSent {
  /** Names in lower case; neither Authorization, nor what is said of one request only, such as Range. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of blobs, with its question mark; empty without one. */
  readonly query: string;
}

/** Stands for pullers without Authorization where the client has a login for them. */
const gatewayName = "gateway";

/**
 * In whose name, as a text without a secret in it; pullers that say something else of themselves are told apart.
 *
 * @param hasLogin - Whether the client has a login for this name, if it has no Authorization of its own.
 */
export function identityOf(auth: Auth, hasLogin: boolean): string {
  const { value, orWithout, sent } = auth.kind === "puller" ? auth : {};
  const anyone = hasLogin ? gatewayName : "anonymous";
  const name = value === undefined ? anyone : `${orWithout ? "puller or gateway" : "puller"} ${hashOf(value)}`;
  const own = Object.entries(sent?.headers ?? {}).filter(([header]) => isOwnHeader(header));
  if (own.length === 0 && !sent?.query) return name;
  return `${name} with ${hashOf(JSON.stringify([own.sort(([a], [b]) => (a < b ? -1 : 1)), sent?.query ?? ""]))}`;
}

/** Whether the client's own login is used for this identity. */
export function isGateway(identity: string | undefined): boolean {
  return identity === gatewayName || (identity?.startsWith(`${gatewayName} `) ?? false);
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/**
 * Whether a header, its name in lower case, may be what a registry lets its sender in for: all but those that say what
 * is wanted, with which program, or which way the request went. Docker-Distribution-Api-Version is the same of all.
 */
export function isOwnHeader(name: string): boolean {
  return !/^(?:accept(?:-.*)?|user-agent|range|if-.*|content-.*|cache-control|docker-distribution-api-version|forwarded|x-forwarded-.*|via|traceparent|tracestate|baggage|x-request-id)$/.test(
    name,
  );
}

/** What reading this path needs: pulling from its repository, or else whatever the registry's challenge says. */
export function accessTo(rawPath: string): Access {
  const path = rawPath.split("?", 1)[0]!;
  const repository = /^\/v2\/(.+)\/(?:blobs\/[^/]+|manifests\/[^/]+|referrers\/[^/]+|tags\/list)$/.exec(path)?.[1];
  if (repository === undefined || !isRepository(repository)) return { key: path, scope: undefined };
  const scope = `repository:${repository}:pull`;
  return { key: scope, scope };
}

/** What a request needs an Authorization for. */
export interface Access {
  /** Requests with the same key can share a token. */
  readonly key: string;
  /** Asked for when the challenge names no scope, e.g. `repository:team/app:pull`. */
  readonly scope: string | undefined;
}

/** An Authorization header value, and for whom it is. */
export interface Need extends Access {
  /** The login that may be used; undefined for none. */
  readonly credentials: Credentials | undefined;
}

const maxTokens = 1000;
// A token is not used in its last 30 s: it has to live until the registry has read it.
const marginMs = 30_000;
const refusedMs = 60_000;
// A service that has let one wait for so long in vain is not waited for again for a while.
const silentAfterMs = 5_000;
const silentForMs = 30_000;
const maxServices = 100;
// Looked up at each call, so that a test can set it.
const clock = { now: () => performance.now() };

/** Tokens for one registry, anonymous or with a login; cached per scope until shortly before they expire. */
export class TokenAuth {
  readonly #registry: URL;
  readonly #dispatcher: Dispatcher;
  readonly #headers = new LRUCache<string, string>({ max: maxTokens, ttlResolution: 0, perf: clock });
  readonly #refused = new LRUCache<string, true>({ max: maxTokens, ttl: refusedMs, ttlResolution: 0, perf: clock });
  /** Services that were silent, by realm, and what that came to. */
  readonly #silent = new LRUCache<string, RegistryUnreachable>({
    max: maxServices,
    ttl: silentForMs,
    ttlResolution: 0,
    perf: clock,
  });
  readonly #pending = new Map<string, Promise<string | undefined>>();

  /** @param options - `dispatcher` carries the token requests and stays the caller's to close. */
  constructor(options: { registry: URL; dispatcher: Dispatcher }) {
    this.#registry = options.registry;
    this.#dispatcher = options.dispatcher;
  }

  /** The value given before for this need, if it is still good: saves the round trip of being challenged. */
  cached(need: Need): string | undefined {
    return this.#headers.get(keyOf(need));
  }

  /** The same for reading a path; at once when nothing is cached, as where all is public. */
  cachedFor(path: string, credentials: Credentials | undefined): string | undefined {
    return this.#headers.size === 0 ? undefined : this.cached({ ...accessTo(path), credentials });
  }

  /** The registry refused `value`: never give it again. A newer one for the same need stays; a password backs off for a minute. */
  forget(need: Need, value: string): void {
    const key = keyOf(need);
    if (this.#headers.peek(key) === value) this.#headers.delete(key);
    if (value.startsWith("Basic ")) this.#refused.set(key, true);
  }

  /**
   * Authorization header value for this challenge, or undefined when there is none to give: no login, or the token
   * service refuses it. Requests for the same need are made once; a login that was refused, by the service or by the
   * registry itself, backs off for a minute, lest the account be locked.
   *
   * @param challenged - URL that was asked, if a realm may be relative to it.
   * @throws RegistryUnreachable when the token service fails, or when its realm is no place for a password.
   */
  authorize(
    challenge: Challenge,
    need: Need,
    challenged: string | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const key = keyOf(need);
    const known = this.#headers.get(key);
    if (known !== undefined || this.#refused.has(key)) return Promise.resolve(known);
    const pending =
      this.#pending.get(key) ?? this.#answer(challenge, need, challenged, key).finally(() => this.#pending.delete(key));
    this.#pending.set(key, pending);
    return raceAbort(pending, signal);
  }

  async #answer(
    challenge: Challenge,
    { credentials, scope }: Need,
    challenged: string | undefined,
    key: string,
  ): Promise<string | undefined> {
    if (challenge.scheme === "basic") {
      if (credentials === undefined || "identityToken" in credentials) return undefined;
      this.#headers.set(key, basic(credentials));
      return basic(credentials);
    }
    const realm = parseRealm(challenge.parameters.realm, challenged);
    if (credentials !== undefined) requireSafe(realm, this.#registry);
    const scopes = (challenge.parameters.scope ?? scope ?? "").split(" ").filter((one) => one !== "");
    const query = { realm, service: challenge.parameters.service, scopes };
    const token = await this.#ask(query, credentials);
    if (token === undefined && credentials !== undefined) this.#refused.set(key, true);
    if (token === undefined) return undefined;
    const ttl = Math.floor(token.lifetimeMs - marginMs);
    if (ttl > 0) this.#headers.set(key, `Bearer ${token.value}`, { ttl });
    return `Bearer ${token.value}`;
  }

  async #ask(query: TokenQuery, credentials: Credentials | undefined): Promise<Token | undefined> {
    const silent = this.#silent.get(query.realm.href);
    if (silent) throw silent;
    const beganMs = clock.now();
    try {
      return await fetchToken(this.#dispatcher, query, credentials);
    } catch (err: unknown) {
      const isSilence = err instanceof RegistryUnreachable && clock.now() - beganMs >= silentAfterMs;
      if (isSilence) this.#silent.set(query.realm.href, err);
      throw err;
    }
  }
}

// The login as a hash: with another one, tokens and refusals of the former no longer count.
function keyOf({ key, credentials }: Need): string {
  const login = credentials && createHash("sha256").update(JSON.stringify(credentials)).digest("base64");
  return `${login ?? "anonymous"} ${key}`;
}

function parseRealm(realm: string | undefined, challenged: string | undefined): URL {
  const url = realm ? webUrl(realm, challenged) : undefined;
  if (url !== undefined) return url;
  throw new RegistryUnreachable(`token realm "${realm ?? ""}" is not an http or https URL`);
}

// A registry that is itself asked in the clear may name a realm on its own host; one behind TLS cannot talk us out of it.
function requireSafe(realm: URL, registry: URL): void {
  const sameHost = realm.hostname === registry.hostname && registry.protocol === "http:";
  if (realm.protocol === "https:" || isLoopback(realm.hostname) || sameHost) return;
  throw new RegistryUnreachable(`token realm ${realm.origin}${realm.pathname} is not https: no password goes there`);
}

function isLoopback(hostname: string): boolean {
  return /^(?:127\.\d+\.\d+\.\d+|\[::1\]|(?:.+\.)?localhost)$/.test(hostname);
}
