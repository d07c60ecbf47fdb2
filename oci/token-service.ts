/** One request to a token service. */
import type { Dispatcher } from "undici";
import type { Credentials, IdentityToken, PasswordLogin } from "./credentials.ts";
import { RegistryUnreachable, unreachable } from "./errors.ts";

const clientId = "ndn-registry";
const timeoutMs = 15_000;
const maxAnswerBytes = 1 << 20;
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

/**
 * The token that the service gives; undefined when it refuses (4xx). Redirects are not followed. A name and password are
 * sent as Basic with a GET, an identity token in the form of a POST (distribution-spec, "OAuth2 Token Authentication").
 *
 * @throws RegistryUnreachable when it fails, is over its rate limit, or answers without a token.
 */
export async function fetchToken(
  dispatcher: Dispatcher,
  query: TokenQuery,
  credentials?: Credentials,
): Promise<Token | undefined> {
  const where = `token service ${query.realm.origin}${query.realm.pathname}`;
  const isOauth = credentials !== undefined && "identityToken" in credentials;
  const request = isOauth ? formRequest(query, credentials) : queryRequest(query, credentials);
  const signal = AbortSignal.timeout(timeoutMs);
  const began = performance.now();
  try {
    const response = await dispatcher.request({ origin: query.realm.origin, ...request, signal });
    const status = response.statusCode;
    const text = await readText(response.body);
    if (status >= 400 && status < 500 && status !== 429) return undefined;
    if (status !== 200) throw new RegistryUnreachable(`${where} answers ${status}`);
    const { value, lifetimeMs } = parseToken(text);
    return { value, lifetimeMs: lifetimeMs - (performance.now() - began) };
  } catch (err: unknown) {
    throw unreachable(where, err);
  }
}

/** The Authorization header value of a name and its password. */
export function basic({ username, password }: PasswordLogin): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function queryRequest({ realm, service, scopes }: TokenQuery, login: PasswordLogin | undefined) {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  const headers = { accept: "application/json", ...(login && { authorization: basic(login) }) };
  return { method: "GET" as const, path: url.pathname + url.search, headers };
}

function formRequest({ realm, service, scopes }: TokenQuery, { identityToken }: IdentityToken) {
  const form = new URLSearchParams({ grant_type: "refresh_token", client_id: clientId, refresh_token: identityToken });
  if (service !== undefined) form.set("service", service);
  if (scopes.length > 0) form.set("scope", scopes.join(" "));
  const headers = { accept: "application/json", "content-type": "application/x-www-form-urlencoded" };
  return { method: "POST" as const, path: realm.pathname + realm.search, headers, body: form.toString() };
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
