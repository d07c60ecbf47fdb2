/**
 * Texts of options to values; every error says what would be right.
 */
import { namesApi } from "#oci/reference.ts";

/** An address to listen on; an empty host stands for all addresses of the machine. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** `HOST:PORT`, `[::1]:PORT`, or `:PORT` for all addresses. @throws Error */
export function hostAndPort(text: string): HostAndPort {
  const match = /^(\[[0-9a-fA-F:.]+\]|\*|[^:\s*/]*):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65_535) throw new Error(`${JSON.stringify(text)} is not HOST:PORT (example: 127.0.0.1:5000)`);
  return { host: match[1]!.replace(/^\[|\]$|^\*$/g, ""), port };
}

/** `HOST:PORT` as above, or `unix:///PATH`. @throws Error */
export function listenAddress(text: string): HostAndPort | { readonly path: string } {
  if (!/^unix:/i.test(text)) return hostAndPort(text);
  const path = /^unix:\/\/(\/.*[^/])$/i.exec(text)?.[1];
  if (path === undefined)
    throw new Error(`${JSON.stringify(text)} is not unix:///PATH (example: unix:///run/client.sock)`);
  return { path };
}

/** Base URL of a registry, without credentials. @throws Error */
export function registryUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search || url.hash) {
    throw new Error(`${JSON.stringify(redact(text))} is not an http or https URL (example: http://127.0.0.1:5001)`);
  }
  if (url.username || url.password) {
    throw new Error(
      "credentials do not belong into the URL: a server takes them from DOCKER_NDN_REGISTRY_USERNAME and _PASSWORD, a client from `credentials` in --config",
    );
  }
  if (namesApi(url)) throw new Error(`${url.href} ends in /v2/, which is added to each request: leave it out`);
  return url;
}

/** `none`, or as above. @throws Error */
export function registryUrlOrNone(text: string): URL | "none" {
  return text === "none" ? text : registryUrl(text);
}

/** One of these words. */
export function oneOf<const T extends string>(...words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((allowed) => allowed === text);
    if (word === undefined) throw new Error(`${JSON.stringify(text)} is not one of ${words.join(", ")}`);
    return word;
  };
}

/** Any text but an empty one. @throws Error */
export function nonEmpty(text: string): string {
  if (text.trim() === "") throw new Error("a value is needed");
  return text;
}

/** A number above zero. @throws Error */
export function positiveNumber(text: string): number {
  const number = Number(text);
  if (!(number > 0) || !Number.isFinite(number)) throw new Error(`${JSON.stringify(text)} is not a number above 0`);
  return number;
}

/** Seconds above zero, `max` at most; in milliseconds. */
export function secondsAsMs(max: number): (text: string) => number {
  return (text) => {
    const seconds = positiveNumber(text);
    if (seconds > max) throw new Error(`${JSON.stringify(text)} is more than ${max} seconds`);
    return seconds * 1000;
  };
}

/** A whole number in `[min, max]`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < min || number > max) {
      throw new Error(`${JSON.stringify(text)} is not a whole number from ${min} to ${max}`);
    }
    return number;
  };
}

/** A mistyped URL may still hold a password. */
function redact(text: string): string {
  return text.replace(/\/\/[^/@]*@/, "//…@");
}
