/**
 * Certificates that have to come from the network: each is asked for once, however many wait for it.
 */

import { raceAbort } from "#base/waiting.ts";
import { formatName, type Name, nameKey } from "../packet/name.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { Untrusted } from "./errors.ts";

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
