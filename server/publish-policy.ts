/**
 * Which repositories go onto NDN. What is there can be fetched and cached by anyone: the default is what an anonymous
 * pull can read anyway.
 */
import { matchesGlob } from "node:path";

/** What an operator said about publishing. */
export interface PublishOptions {
  /** Globs over repository names (`team/*`, `public/**`); empty: whatever an anonymous pull can read. */
  readonly publish: readonly string[];
  /** Globs of repositories that never go onto NDN. */
  readonly exclude: readonly string[];
}

/** Decides by repository name alone, before any I/O. */
export class PublishPolicy {
  readonly #options: PublishOptions;

  constructor(options: PublishOptions) {
    this.#options = options;
  }

  /** Whether blobs of this repository may be asked for at all. */
  allows(repository: string): boolean {
    const { publish, exclude } = this.#options;
    if (exclude.some((pattern) => matchesGlob(repository, pattern))) return false;
    return publish.length === 0 || this.isListed(repository);
  }

  /** Whether it was named by the operator: only then the registry login is used for it. */
  isListed(repository: string): boolean {
    return this.#options.publish.some((pattern) => matchesGlob(repository, pattern));
  }
}
