/**
 * What is already known of certificates: trusted ones until their chain ends, refusals for a few seconds.
 * Two tables, so that a flood of bad names cannot push out the good ones.
 */
import { LRUCache } from "lru-cache";
import { type Name, nameKey } from "../packet/name.ts";
import type { Certificate } from "./certificate.ts";
import type { Untrusted } from "./errors.ts";
import { isValidAt, type Validity } from "./validity.ts";

const maxTrusted = 256;
const maxRefused = 1024;
const refusalMs = 10_000;

/** A certificate whose chain has been checked. */
export interface TrustedCertificate {
  readonly certificate: Certificate;
  /** When the whole chain is valid. */
  readonly validity: Validity;
  /** Certificates from this one to the anchor, both included. */
  readonly chainLength: number;
}

/** Verdicts by the names that KeyLocators use. */
export class Verdicts {
  readonly #trusted = new LRUCache<string, TrustedCertificate>({ max: maxTrusted });
  readonly #refused = new LRUCache<string, { readonly reason: Untrusted; readonly atMs: number }>({
    max: maxRefused,
  });

  trust(verdict: TrustedCertificate): void {
    for (const name of [verdict.certificate.name, verdict.certificate.keyName])
      this.#trusted.set(nameKey(name), verdict);
  }

  refuse(name: Name, reason: Untrusted, nowMs: number): void {
    this.#refused.set(nameKey(name), { reason, atMs: nowMs });
  }

  /** The trusted certificate of this name or key; undefined when there is none, or its time is over. */
  find(name: Name, nowMs: number): TrustedCertificate | undefined {
    const verdict = this.#trusted.get(nameKey(name));
    return verdict && isValidAt(verdict.validity, nowMs) ? verdict : undefined;
  }

  /** Why this name was refused a moment ago. */
  refusalOf(name: Name, nowMs: number): Untrusted | undefined {
    const refusal = this.#refused.get(nameKey(name));
    return refusal && isRecent(refusal.atMs, nowMs) ? refusal.reason : undefined;
  }
}

/** Whether what was found out at `atMs` still holds against a name. A clock that was set back ends that as well. */
export function isRecent(atMs: number, nowMs: number): boolean {
  const ageMs = nowMs - atMs;
  return ageMs >= 0 && ageMs < refusalMs;
}
