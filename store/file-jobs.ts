import type { Digest } from "#oci/digest.ts";

/** Work on the files of one blob goes one after the other: a late unlink must not hit what was written since. */
export class FileJobs {
  readonly #last = new Map<Digest, Promise<void>>();

  /** Run `job` when everything before it, for this blob, has ended. */
  run<T>(digest: Digest, job: () => Promise<T>): Promise<T> {
    const running = (this.#last.get(digest) ?? Promise.resolve()).then(job);
    const ended: Promise<void> = running.then(
      () => this.#ended(digest, ended),
      () => this.#ended(digest, ended),
    );
    this.#last.set(digest, ended);
    return running;
  }

  /** Resolves when nothing is to be done for this blob. */
  async idle(digest: Digest): Promise<void> {
    for (let last = this.#last.get(digest); last; last = this.#last.get(digest)) await last;
  }

  /** Resolves when nothing is to be done at all. */
  async allIdle(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }

  #ended(digest: Digest, job: Promise<void>): void {
    if (this.#last.get(digest) === job) this.#last.delete(digest);
  }
}
