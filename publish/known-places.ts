/**
 * Which repositories a digest was asked in: segment names say only the digest, and after a restart this is how they
 * are placed. Kept in `--state`; losing it costs at most one more question.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { removeLeftovers, writeFileAtomic } from "#base/atomic-file.ts";
import { type Digest, parseSha256 } from "#oci/digest.ts";
import { isRepository } from "#oci/reference.ts";

const maxDigests = 100_000;
/** A digest in more repositories than this is remembered in the latest ones only. */
const maxRepositories = 4;
const saveDelayMs = 5_000;
const fileName = "places.json";

/** Digest → repositories, most recently seen first. */
export class KnownPlaces {
  private readonly places = new LRUCache<Digest, readonly string[]>({ max: maxDigests });
  private readonly path: string | undefined;
  private readonly onError: (err: Error) => void;
  private readonly stop = new AbortController();
  private isDirty = false;
  private saving: Promise<void> | undefined;

  /**
   * @param directory - Where to remember across restarts; undefined to forget.
   * @param onError - Told when the state cannot be read or written; the server goes on without it.
   */
  constructor(directory: string | undefined, onError: (err: Error) => void) {
    this.path = directory && join(directory, fileName);
    this.onError = onError;
    if (directory) this.load(directory);
    if (this.path) this.tidy(this.path);
  }

  repositoriesOf(digest: Digest): readonly string[] {
    return this.places.get(digest) ?? [];
  }

  /** The digest is in this repository. */
  learn(digest: Digest, repository: string): void {
    const known = this.places.get(digest) ?? [];
    if (known[0] === repository) return;
    this.places.set(digest, [repository, ...known.filter((other) => other !== repository)].slice(0, maxRepositories));
    this.isDirty = true;
    if (this.path) this.saving ??= this.save(this.path);
  }

  /** Write what is not written yet. */
  async close(): Promise<void> {
    this.stop.abort();
    await this.saving;
  }

  private load(directory: string): void {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const stored: unknown = JSON.parse(readFileSync(this.path!, "utf8"));
      for (const [key, value] of Object.entries(stored ?? {}).reverse()) {
        const digest = parseSha256(key);
        const repositories = Array.isArray(value) ? value.filter((r) => typeof r === "string" && isRepository(r)) : [];
        if (digest && repositories.length > 0) this.places.set(digest, repositories.slice(0, maxRepositories));
      }
    } catch (err: unknown) {
      if ((err as NodeJS.ErrnoException).code !== "ENOENT") this.onError(err as Error);
    }
  }

  private tidy(path: string): void {
    try {
      removeLeftovers(path);
    } catch (err: unknown) {
      this.onError(err as Error);
    }
  }

  // Not in one go: a slow disk must not keep the server from answering.
  private async save(path: string): Promise<void> {
    while (this.isDirty) {
      await delay(saveDelayMs, undefined, { signal: this.stop.signal }).catch(() => undefined); // closed: at once
      this.isDirty = false;
      const places = JSON.stringify(Object.fromEntries(this.places.entries()));
      await writeFileAtomic(path, places, 0o600).catch(this.onError);
    }
    this.saving = undefined;
  }
}
