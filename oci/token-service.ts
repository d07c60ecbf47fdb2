/** One request to a token service. */
import type { Dispatcher } from "undici";
import { RegistryUnreachable } from "./errors.ts";
import { unreachable } from "./foreign-errors.ts";

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

/**
 * The token that the service gives; undefined when it refuses (4xx). Redirects are not followed.
 *
 * @param authorization - Authorization header value for the service itself.
 * @throws RegistryUnreachable when it fails, is over its rate limit, or answers without a token.
 */
export async function fetchToken(dispatcher: Dispatcher, url: URL, authorization?: string): Promise<Token | undefined> {
  const where = `token service ${url.origin}${url.pathname}`;
  const headers = { accept: "application/json", ...(authorization === undefined ? {} : { authorization }) };
  const signal = AbortSignal.timeout(timeoutMs);
  const began = performance.now();
  try {
    const path = url.pathname + url.search;
    const response = await dispatcher.request({ origin: url.origin, path, method: "GET", headers, signal });
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
  const answer: unknown = JSON.parse(text);
  const { token, access_token, expires_in } = (answer ?? {}) as Record<string, unknown>;
  const value = typeof token === "string" && token !== "" ? token : access_token;
  // Only what can stand in a header: a token with a line break is an attack or a mistake.
  if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value)) throw new Error("answer has no usable token");
  const lifetimeMs = typeof expires_in === "number" && Number.isFinite(expires_in) ? expires_in * 1000 : 0;
  return { value, lifetimeMs: Math.max(minLifetimeMs, lifetimeMs) };
}
