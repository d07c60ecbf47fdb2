/**
 * Certificates that were asked for once more, past the caches, because what came at first led to no anchor. One Interest
 * for each in a few seconds: strangers' packets decide which certificates are looked at.
 */
import { LRUCache } from "lru-cache";
import { type Name, nameKey } from "../packet/name.ts";
import type { Certificate } from "./certificate.ts";
import type { CertificateFetches } from "./certificate-fetches.ts";
import { Untrusted } from "./errors.ts";
import { isRecent } from "./verdicts.ts";

const maxKept = 256;

/** What second answers need. */
export interface SecondAnswersOptions {
  readonly fetches: CertificateFetches;
  /** Wall clock in milliseconds. */
  readonly now: () => number;
}

/** The second answers of one verifier, kept as long as refusals are. */
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
