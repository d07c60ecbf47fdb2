/** One question to a token service. */
import type { Dispatcher } from "undici";
import { decoded } from "./body-headers.ts";
import type { Credentials, IdentityToken, PasswordLogin } from "./credentials.ts";
import { RegistryUnreachable, unreachable } from "./errors.ts";
import { redirectStatuses, webUrl } from "./redirect.ts";

const clientId = "ndn-registry";
const timeoutMs = 15_000;
const maxAnswerBytes = 1 << 20;
const maxRedirects = 5;
// The specification's default, and also the least that a token may live.
const minLifetimeMs = 60_000;

/** A bearer token, opaque to us. */
export interface Token {
  value: string;
  /** Counted from before the request was sent, so that no clock but ours matters. */
  lifetimeMs: number;
}

/** What is asked of a token service. */
export interface TokenQuery {
  realm: URL;
  service: string | undefined;
  /** E.g. `repository:team/app:pull`. */
  scopes: readonly string[];
}

interface TokenRequest {
  readonly url: URL;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Whether a login is in it. */
  readonly isSecret: boolean;
}

/**
 * The token that the service gives; undefined when it refuses (4xx). A name and password are sent as Basic with a GET, an
 * identity token in the form of a POST (distribution-spec, "OAuth2 Token Authentication"). At most 5 redirects are
 * followed, with a login only on the same host, and never from https to http.
 *
 * @throws RegistryUnreachable when it fails, is over its rate limit, or answers without a token.
 */
export async function fetchToken(
  dispatcher: Dispatcher,
  query: TokenQuery,
  credentials?: Credentials,
): Promise<Token | undefined> {
  const where = `token service ${nameOf(query.realm)}`;
  const isOauth = credentials !== undefined && "identityToken" in credentials;
  const request = isOauth ? formRequest(query, credentials) : queryRequest(query, credentials);
  const began = performance.now();
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const answer = await ask(dispatcher, request, signal);
    const { statusCode: status } = answer;
    if (status < 200 || status > 299) {
      await answer.body.dump({ limit: maxAnswerBytes, signal });
      if (status >= 400 && status < 500 && status !== 429) return undefined;
      throw new RegistryUnreachable(`${where} answers ${status}`);
    }
    // Some services encode whatever is accepted.
    const body = decoded(answer);
    if (!body) throw new Error(`answer is encoded as ${String(answer.headers["content-encoding"])}`);
    const { value, lifetimeMs } = parseToken(await readText(body));
    return { value, lifetimeMs: lifetimeMs - (performance.now() - began) };
  } catch (err: unknown) {
    throw unreachable(where, err);
  }
}

/** The Authorization header value of a name and its password. */
export function basic({ username, password }: PasswordLogin): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

async function ask(dispatcher: Dispatcher, first: TokenRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  let request = first;
  for (let hops = 0; hops <= maxRedirects; hops++) {
    const { url, method, headers, body = null } = request;
    const path = url.pathname + url.search;
    const answer = await dispatcher.request({ origin: url.origin, path, method, headers, body, signal });
    const { location } = answer.headers;
    if (!redirectStatuses.has(answer.statusCode) || typeof location !== "string") return answer;
    await answer.body.dump({ limit: maxAnswerBytes, signal });
    request = redirected(request, location, answer.statusCode);
  }
  throw new RegistryUnreachable(`token service ${nameOf(first.url)}: more than ${maxRedirects} redirects`);
}

/** @throws RegistryUnreachable when it is not followed. */
function redirected(request: TokenRequest, location: string, status: number): TokenRequest {
  const { url: from, isSecret } = request;
  const url = webUrl(location, from.href);
  const where = `token service ${nameOf(from)} redirects to`;
  if (url === undefined) throw new RegistryUnreachable(`${where} nowhere that HTTP can follow`);
  if (from.protocol === "https:" && url.protocol === "http:")
    throw new RegistryUnreachable(`${where} ${nameOf(url)}, which is not https`);
  if (isSecret && from.hostname !== url.hostname)
    throw new RegistryUnreachable(`${where} ${nameOf(url)}: no login goes to another host`);
  if (status !== 303) return { ...request, url };
  // The answer to a form that has been taken lies elsewhere (RFC 9110 § 15.4.4).
  const { "content-type": _, ...headers } = request.headers;
  return { url, method: "GET", headers, isSecret };
}

// Without the query: it may be a secret.
function nameOf({ origin, pathname }: URL): string {
  return origin + pathname;
}

function queryRequest({ realm, service, scopes }: TokenQuery, login: PasswordLogin | undefined): TokenRequest {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  const headers = { accept: "application/json", ...(login && { authorization: basic(login) }) };
  return { url, method: "GET", headers, isSecret: login !== undefined };
}

function formRequest({ realm, service, scopes }: TokenQuery, { identityToken }: IdentityToken): TokenRequest {
  const form = new URLSearchParams({ grant_type: "refresh_token", client_id: clientId, refresh_token: identityToken });
  if (service !== undefined) form.set("service", service);
  if (scopes.length > 0) form.set("scope", scopes.join(" "));
  const headers = { accept: "application/json", "content-type": "application/x-www-form-urlencoded" };
  return { url: realm, method: "POST", headers, body: form.toString(), isSecret: true };
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > maxAnswerBytes) throw new Error(`answer is longer than ${maxAnswerBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

function parseToken(text: string): Token {
  const { token, access_token, expires_in } = parseObject(text);
  const value = typeof token === "string" && token !== "" ? token : access_token;
  // Only what can stand in a header: a token with a line break is an attack or a mistake.
  if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value)) throw new Error("answer has no usable token");
  const lifetimeMs = typeof expires_in === "number" && Number.isFinite(expires_in) ? expires_in * 1000 : 0;
  return { value, lifetimeMs: Math.max(minLifetimeMs, lifetimeMs) };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    return (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    throw new Error("answer is not JSON"); // without the cause: V8 quotes the text, and that may be a token
  }
}
