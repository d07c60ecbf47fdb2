/**
 * Which blobs are never evicted, by the names that they are pinned for. They are in a file of their own, so that they are
 * known before the first eviction after a restart.
 */
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "#base/atomic-file.ts";
import { errorCode } from "#base/errors.ts";
import { type Digest, parseSha256 } from "#oci/reference.ts";
import type { StoreLog } from "./disk-health.ts";
import { fileMode } from "./image-layout.ts";

const fileName = "pins.json";
/** So many names may be pinned. */
const maxPins = 1_000;

const pinsSchema = z.record(z.string(), z.array(z.string()));

/** Too much is pinned already. */
export class PinRefused extends Error {
  override readonly name = "PinRefused";
}

/** The pins of one store. */
export class PinnedBlobs {
  /** Called after each change. */
  onChange: () => void = () => {};
  readonly #path: string;
  readonly #digests = new Map<string, readonly Digest[]>();
  readonly #all = new Set<Digest>();
  /** Everything that is pinned, cached or not. */
  readonly all: ReadonlySet<Digest> = this.#all;
  #writing: Promise<void> = Promise.resolve();
  /** A write that has not begun. */
  #next: Promise<void> | undefined;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Those of a store's directory; a damaged file is moved aside. @throws Error of the operating system */
  static async load(directory: string, log: StoreLog): Promise<PinnedBlobs> {
    const pinned = new PinnedBlobs(join(directory, fileName));
    await pinned.#read(log);
    return pinned;
  }

  /** What is pinned for a name, cached or not; undefined when it is not pinned. */
  of(name: string): readonly Digest[] | undefined {
    return this.#digests.get(name);
  }

  names(): string[] {
    return [...this.#digests.keys()];
  }

  /**
   * Never evict these, whether they are cached already or will be, until the name is unpinned or pinned for others. It
   * holds at once, and is on the disk when this resolves.
   *
   * @throws PinRefused when too many names are pinned.
   * @throws Error of the operating system: then it holds until the next restart.
   */
  async pin(name: string, digests: readonly Digest[]): Promise<void> {
    if (this.#digests.size >= maxPins && !this.#digests.has(name)) {
      throw new PinRefused(`${maxPins} images are pinned already`);
    }
    this.#digests.set(name, digests);
    await this.#changed();
  }

  /** False when it was not pinned. @throws Error of the operating system: then it holds until the next restart */
  async unpin(name: string): Promise<boolean> {
    if (!this.#digests.delete(name)) return false;
    await this.#changed();
    return true;
  }

  /** Wait for what is being written. */
  close(): Promise<void> {
    return this.#writing;
  }

  #changed(): Promise<void> {
    this.#gather();
    this.onChange();
    this.#next ??= this.#writing.then(() => this.#write());
    this.#writing = this.#next.catch(() => undefined);
    return this.#next;
  }

  /** What changes while one write runs is written by the next. */
  #write(): Promise<void> {
    this.#next = undefined;
    const text = JSON.stringify(Object.fromEntries(this.#digests));
    return writeFileAtomic(this.#path, text, fileMode, `${this.#path}.new`);
  }

  async #read(log: StoreLog): Promise<void> {
    const text = await readFile(this.#path, "utf8").catch((err: unknown) => {
      if (errorCode(err) === "ENOENT") return undefined;
      throw err;
    });
    if (text === undefined) return;
    try {
      for (const [name, texts] of Object.entries(pinsSchema.parse(JSON.parse(text)))) {
        this.#digests.set(
          name,
          texts.map(parseSha256).filter((digest) => digest !== undefined),
        );
      }
    } catch (err: unknown) {
      this.#digests.clear();
      log.warn({ err, movedTo: `${this.#path}.damaged` }, "the list of pinned images is damaged: none are pinned");
      await rename(this.#path, `${this.#path}.damaged`);
    }
    this.#gather();
  }

  #gather(): void {
    this.#all.clear();
    for (const digest of [...this.#digests.values()].flat()) this.#all.add(digest);
  }
}
