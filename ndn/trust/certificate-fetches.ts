/**
 * Certificates that have to come from the network: each is asked for once, however many wait for it.
 */

import { LRUCache } from "lru-cache";
import { raceAbort } from "#base/waiting.ts";
import { formatName, type Name, nameKey } from "../packet/name.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { Untrusted } from "./errors.ts";
import { isRecent } from "./verdicts.ts";

/** Different certificates asked for at a time, at most: packets of strangers name them. */
const maxConcurrent = 64;

/**
 * Get the wire encoding of the certificate with this name or below it (CanBePrefix); gives up by itself.
 *
 * @param isPastCaches - Ask so that no cache on the path can answer with something else.
 */
export type FetchCertificate = (name: Name, signal: AbortSignal, isPastCaches?: boolean) => Promise<Uint8Array>;

interface Fetch {
  readonly certificate: Promise<Certificate>;
  readonly stop: AbortController;
  waiting: number;
}

/** All fetches of one verifier. */
export class CertificateFetches {
  readonly #fetch: FetchCertificate;
  readonly #running = new Map<string, Fetch>();

  constructor(fetch: FetchCertificate) {
    this.#fetch = fetch;
  }

  /** @throws Untrusted when it cannot be had or is no certificate; the reason of `signal` when that fires. */
  async get(name: Name, signal: AbortSignal, isPastCaches = false): Promise<Certificate> {
    signal.throwIfAborted();
    const key = `${isPastCaches ? "past caches " : ""}${nameKey(name)}`;
    const fetch = this.#running.get(key) ?? this.#start(key, name, isPastCaches);
    fetch.waiting++;
    try {
      return await raceAbort(fetch.certificate, signal);
    } finally {
      if (--fetch.waiting === 0) this.#end(key, fetch);
    }
  }

  #start(key: string, name: Name, isPastCaches: boolean): Fetch {
    if (this.#running.size >= maxConcurrent) {
      throw new Untrusted("busy", `${maxConcurrent} certificates are being fetched already`);
    }
    const stop = new AbortController();
    const copy = Buffer.from(name);
    const fetch = { certificate: this.#fetchOne(copy, stop.signal, isPastCaches), stop, waiting: 0 };
    this.#running.set(key, fetch);
    return fetch;
  }

  #end(key: string, fetch: Fetch): void {
    fetch.stop.abort();
    if (this.#running.get(key) === fetch) this.#running.delete(key);
  }

  async #fetchOne(name: Name, signal: AbortSignal, isPastCaches: boolean): Promise<Certificate> {
    const packet = await this.#fetch(name, signal, isPastCaches).catch((err: unknown) => {
      const message = `certificate ${formatName(name)} cannot be had: ${(err as Error).message}`;
      throw new Untrusted("unavailable", message, { cause: err });
    });
    try {
      return readCertificate(packet);
    } catch (err: unknown) {
      const message = `what came for certificate ${formatName(name)}: ${(err as Error).message}`;
      throw new Untrusted("certificate", message, { cause: err });
    }
  }
}

const maxKept = 256;

/** What second answers need. */
export interface SecondAnswersOptions {
  readonly fetches: CertificateFetches;
  /** Wall clock in milliseconds. */
  readonly now: () => number;
}

/**
 * Certificates that were asked for once more, past the caches, because what came at first led to no anchor; kept as long
 * as refusals are. One Interest for each in a few seconds: strangers' packets decide which certificates are looked at.
 */
export class SecondAnswers {
  readonly #options: SecondAnswersOptions;
  readonly #kept = new LRUCache<string, { readonly certificate: Certificate | undefined; readonly atMs: number }>({
    max: maxKept,
  });

  constructor(options: SecondAnswersOptions) {
    this.#options = options;
  }

  /** The second answer to this name; undefined when it was not asked again lately, or no one answered. */
  find(name: Name): Certificate | undefined {
    return this.#recent(name)?.certificate;
  }

  /**
   * Ask once more, unless that was done lately; undefined when no one answers.
   * @throws Untrusted when too many are asked for at a time; the reason of `signal` when that fires.
   */
  async get(name: Name, signal: AbortSignal): Promise<Certificate | undefined> {
    const recent = this.#recent(name);
    if (recent) return recent.certificate;
    const { fetches, now } = this.#options;
    const certificate = await fetches.get(name, signal, true).catch((err: unknown) => {
      if (err instanceof Untrusted && err.rule !== "busy") return undefined;
      throw err;
    });
    this.#kept.set(nameKey(name), { certificate, atMs: now() });
    return certificate;
  }

  #recent(name: Name) {
    const answer = this.#kept.get(nameKey(name));
    return answer && isRecent(answer.atMs, this.#options.now()) ? answer : undefined;
  }
}
