/**
 * Bytes that are no blob yet, as no one knows how many come, or because they are parts of one: they wait in a file without
 * a name, within the store's budget, until they become a blob or are given up.
 */
import { randomUUID } from "node:crypto";
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import type { DiskSpace } from "./disk-space.ts";
import type { ImageLayout } from "./image-layout.ts";
import { OpenFile, readPieces } from "./open-file.ts";
import type { Spool } from "./store-port.ts";

export class SpoolFile implements Spool {
  readonly #file: OpenFile;
  readonly #space: DiskSpace;
  #sizeBytes = 0;
  #isClosed = false;

  private constructor(file: OpenFile, space: DiskSpace) {
    this.#file = file;
    this.#space = space;
  }

  /** @throws Error when the disk does not want it. */
  static async open(layout: ImageLayout, space: DiskSpace): Promise<SpoolFile> {
    // A name that no blob has: what a crash leaves here is removed at the next start.
    const path = join(layout.partials, `spool-${randomUUID()}`);
    const file = await OpenFile.openForWriting(path, true);
    await unlink(path);
    return new SpoolFile(file, space);
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.#check();
    const space = this.#space;
    if (!space.couldHold(bytes.length)) throw new Error("the cache has no room for bytes that are no blob yet");
    const at = this.#sizeBytes;
    this.#sizeBytes += bytes.length;
    space.reservedBytes += bytes.length;
    if (space.usedBytes > space.maxBytes) await space.shrinkTo(space.maxBytes);
    await this.#file.write(bytes, at);
    return at;
  }

  read(start = 0, end = this.#sizeBytes): AsyncGenerator<Uint8Array> {
    return readPieces(this.#file, start, end, () => this.#check());
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#space.reservedBytes -= this.#sizeBytes;
    void this.#file.release();
  }

  #check(): void {
    if (this.#isClosed) throw new Error("the spool is closed");
  }
}
