/**
 * Which repositories are published: of those that the registry lists, the ones that the policy allows and that everyone
 * may read. That has to be found out for each, so it is done ahead, a bounded number a second, and the last complete list
 * is what is answered.
 */
import { setTimeout as delay } from "node:timers/promises";
import { forEachBounded, TokenBucket } from "#base/limits.ts";
import { type PublishPolicy, revalidateAfterMs } from "../range-reader.ts";
import type { ImageRegistry } from "./image-registry.ts";
import type { Recent } from "./recent-answers.ts";

const checksPerSecond = 100;
const checksAtOnce = 8;
/** Repositories beyond that are left out, and the server says so. */
const maxRepositories = 50_000;
/** A list is made anew when it is older, or when making it failed so long ago, if anyone asks. */
const renewAfterMs = 5_000;
/** How long those who ask wait for the new one, before they get the last. */
const patienceMs = 1_000;
/** An older one is not answered. */
const maxAgeMs = 10 * 60_000;

/** What the catalog is made with. */
export interface CatalogOptions {
  readonly registry: Pick<ImageRegistry, "repositories" | "isPublic">;
  readonly policy: PublishPolicy;
  /** Ends what is done in the background. */
  readonly signal: AbortSignal;
  onFailed(reason: Error): void;
}

interface Verdict {
  readonly isPublic: boolean;
  /** By a clock that is never set. */
  readonly atMs: number;
}

/** The published repositories of one registry. */
export class Catalog {
  readonly #options: CatalogOptions;
  readonly #checks = new TokenBucket(checksPerSecond, checksPerSecond);
  #verdicts = new Map<string, Verdict>();
  #latest: { readonly answer: Recent<readonly string[]>; readonly atMs: number } | undefined;
  #making: Promise<void> | undefined;
  #failedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: CatalogOptions) {
    this.#options = options;
  }

  /**
   * The latest list, if it can be had within a second a new one.
   *
   * @returns without a value when the registry has no catalog for this server.
   * @throws Error when there is no list yet, or no longer.
   */
  async ask(): Promise<Recent<readonly string[]>> {
    const hasJustFailed = performance.now() - this.#failedAtMs < renewAfterMs;
    if (this.#ageMs() > renewAfterMs && !hasJustFailed)
      await Promise.race([this.renew(), delay(patienceMs, undefined, { ref: false })]);
    if (this.#latest === undefined || this.#ageMs() > maxAgeMs) throw new Error("the catalog is being made");
    return this.#latest.answer;
  }

  /** Make the list anew, once at a time. Never rejects. */
  renew(): Promise<void> {
    this.#making ??= this.#make()
      .catch((err: Error) => {
        this.#failedAtMs = performance.now();
        if (!this.#options.signal.aborted) this.#options.onFailed(err);
      })
      .then(() => {
        this.#making = undefined;
      });
    return this.#making;
  }

  #ageMs(): number {
    return performance.now() - (this.#latest?.atMs ?? Number.NEGATIVE_INFINITY);
  }

  async #make(): Promise<void> {
    const { registry, policy } = this.#options;
    const [atMs, asOfMs] = [performance.now(), Date.now()];
    const all = await registry.repositories();
    const names = all?.filter((name) => policy.allows(name)).slice(0, maxRepositories);
    if (names) await this.#check(names);
    const value = names?.filter((name) => this.#verdicts.get(name)?.isPublic);
    this.#latest = { answer: { value, asOfMs }, atMs };
  }

  /** Find out what is not known of each, and forget what is no longer listed. */
  async #check(names: readonly string[]): Promise<void> {
    const { registry, signal } = this.#options;
    const verdicts = new Map<string, Verdict>();
    const unknown: string[] = [];
    for (const name of names) {
      const verdict = this.#verdicts.get(name);
      if (verdict && performance.now() - verdict.atMs < revalidateAfterMs) verdicts.set(name, verdict);
      else unknown.push(name);
    }
    this.#verdicts = verdicts;
    await forEachBounded(unknown, checksAtOnce, async (name) => {
      await this.#checks.take(1, signal);
      const atMs = performance.now();
      verdicts.set(name, { isPublic: await registry.isPublic(name), atMs });
    });
  }
}
