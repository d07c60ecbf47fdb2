/**
 * Answers to a registry's challenges: the login itself (Basic), or a token that the registry's token service gives for
 * it (Bearer; distribution-spec, "Token Authentication Specification").
 *
 * Credentials go to the registry itself and to the realm that the registry itself names, nowhere else.
 */
import { LRUCache } from "lru-cache";
import type { Dispatcher } from "undici";
import { abortable } from "./abortable.ts";
import type { Challenge } from "./challenge.ts";
import { RegistryUnreachable } from "./errors.ts";
import { fetchToken } from "./token-service.ts";

export { type Challenge, parseChallenges } from "./challenge.ts";

/** A login at a registry. */
export interface Credentials {
  username: string;
  password: string;
}

const maxTokens = 1000;
// A token is not used in its last 30 s: it has to live until the registry has read it.
const marginMs = 30_000;
// Looked up at each call, so that a test can set it.
const clock = { now: () => performance.now() };

/** Tokens for one registry, anonymous or with a login; cached per scope until shortly before they expire. */
export class TokenAuth {
  readonly #registry: URL;
  readonly #credentials: Credentials | undefined;
  readonly #dispatcher: Dispatcher;
  readonly #headers = new LRUCache<string, string>({ max: maxTokens, ttlResolution: 0, perf: clock });
  readonly #pending = new Map<string, Promise<string | undefined>>();

  /** @param options - `dispatcher` carries the token requests and stays the caller's to close. */
  constructor(options: { registry: URL; credentials?: Credentials | undefined; dispatcher: Dispatcher }) {
    this.#registry = options.registry;
    this.#credentials = options.credentials;
    this.#dispatcher = options.dispatcher;
  }

  /** The value given before for this scope, if it is still good: saves the round trip of being challenged. */
  cached(scope: string, login: boolean): string | undefined {
    return this.#headers.get(this.#key(scope, login));
  }

  /** The registry refused `value`: never give it again. A newer one for the same scope stays. */
  forget(scope: string, login: boolean, value: string): void {
    const key = this.#key(scope, login);
    if (this.#headers.peek(key) === value) this.#headers.delete(key);
  }

  /**
   * Authorization header value for this challenge, or undefined when there is none to give: no login, or the token
   * service refuses it. Requests for the same scope are made once.
   *
   * @param scope - Used when the challenge names none, e.g. `repository:team/app:pull`.
   * @param login - Whether the credentials may be used.
   * @throws RegistryUnreachable when the token service fails, or when its realm is no place for a password.
   */
  authorize(challenge: Challenge, scope: string, login: boolean, signal: AbortSignal): Promise<string | undefined> {
    const key = this.#key(scope, login);
    const known = this.#headers.get(key);
    if (known !== undefined) return Promise.resolve(known);
    const pending =
      this.#pending.get(key) ?? this.#answer(challenge, scope, login).finally(() => this.#pending.delete(key));
    this.#pending.set(key, pending);
    return abortable(pending, signal);
  }

  async #answer(challenge: Challenge, scope: string, login: boolean): Promise<string | undefined> {
    const credentials = login ? this.#credentials : undefined;
    const key = this.#key(scope, login);
    if (challenge.scheme === "basic") {
      if (credentials === undefined) return undefined;
      this.#headers.set(key, basic(credentials));
      return basic(credentials);
    }
    const realm = parseRealm(challenge.parameters.realm);
    if (credentials !== undefined) requireSafe(realm, this.#registry);
    const token = await fetchToken(
      this.#dispatcher,
      tokenUrl(realm, challenge, scope),
      credentials && basic(credentials),
    );
    if (token === undefined) return undefined;
    const ttl = Math.floor(token.lifetimeMs - marginMs);
    if (ttl > 0) this.#headers.set(key, `Bearer ${token.value}`, { ttl });
    return `Bearer ${token.value}`;
  }

  #key(scope: string, login: boolean): string {
    return `${login && this.#credentials !== undefined ? "login" : "anonymous"} ${scope}`;
  }
}

function basic({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function parseRealm(realm = ""): URL {
  const url = URL.parse(realm);
  if (url?.protocol === "https:" || url?.protocol === "http:") return url;
  throw new RegistryUnreachable(`token realm "${realm}" is not an http or https URL`);
}

function tokenUrl(realm: URL, challenge: Challenge, scope: string): URL {
  const url = new URL(realm);
  url.username = url.password = url.hash = "";
  const service = challenge.parameters.service;
  if (service !== undefined) url.searchParams.set("service", service);
  for (const one of (challenge.parameters.scope ?? scope).split(" ")) url.searchParams.append("scope", one);
  return url;
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
