/**
 * Signed digest lists on disk, so that a restart computes nothing twice: one file per blob and segment size, in which
 * list `i` has slot `i`. What is damaged counts as absent and is written again. Losing all of it costs only work.
 */
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { SegmentSize } from "#blob/names.ts";
import { maxPacketBytes } from "#ndn/packet/tlv.ts";
import { type Digest, hexOf } from "#oci/digest.ts";
import { readSlot, writeSlot } from "./digest-list-slot.ts";

/** What the smallest file takes up on a disk. */
const blockBytes = 4096;
/** Lists that wait to be written; more are forgotten. */
const maxUnwritten = 64;
/** Room for the lists of 130 GiB of blobs. */
const defaultMaxBytes = 1024 * 1024 * 1024;
const namePattern = /^[0-9a-f]{64}\.\d+$/;

/** Which list. */
export interface ListKey {
  readonly digest: Digest;
  readonly size: SegmentSize;
  readonly number: number;
}

/** The lists in `--state`. */
export function openListFiles(stateDirectory: string, onError: (err: Error) => void): DigestListFiles {
  return new DigestListFiles(join(stateDirectory, "digests"), defaultMaxBytes, onError);
}

/** Lists in a directory of mode 0700, files of mode 0600. */
export class DigestListFiles {
  private readonly directory: string;
  private readonly maxBytes: number;
  private readonly onError: (err: Error) => void;
  /** Bytes of each file by its path, in order of use. */
  private readonly files = new Map<string, number>();
  private totalBytes = 0;
  private unwritten = 0;
  private lastWrite: Promise<void>;
  private hasFailed = false;
  private isClosed = false;

  /**
   * @param maxBytes - Of all files together; the blobs that were not used for longest go first.
   * @param onError - Told of the first failure only: a disk that is full fails for every list.
   */
  constructor(directory: string, maxBytes: number, onError: (err: Error) => void) {
    this.directory = directory;
    this.maxBytes = maxBytes;
    this.onError = onError;
    this.lastWrite = this.scan().catch((err: Error) => this.failed(err));
  }

  /** The packet of a list as it was written; undefined when there is none, or it is damaged. */
  async read(key: ListKey): Promise<Buffer | undefined> {
    const path = this.pathOf(key);
    try {
      const packet = await readSlot(path, key.number);
      const bytes = this.files.get(path);
      if (bytes !== undefined) this.used(path, bytes);
      return packet;
    } catch (err: unknown) {
      if ((err as NodeJS.ErrnoException).code !== "ENOENT") this.failed(err as Error);
      return undefined;
    }
  }

  /** Keep a packet, some time later; what cannot be kept is forgotten. */
  write(key: ListKey, packet: Buffer): void {
    if (this.isClosed || this.unwritten >= maxUnwritten || packet.length > maxPacketBytes) return;
    this.unwritten++;
    this.lastWrite = this.lastWrite
      .then(() => this.store(key, packet))
      .catch((err: Error) => this.failed(err))
      .finally(() => this.unwritten--);
  }

  /** Wait for what is still to be written; what comes later is forgotten. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.lastWrite;
  }

  private pathOf({ digest, size }: ListKey): string {
    const hex = hexOf(digest);
    return join(this.directory, hex.slice(0, 2), `${hex}.${size}`);
  }

  private async store(key: ListKey, packet: Buffer): Promise<void> {
    const path = this.pathOf(key);
    await mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
    this.used(path, await writeSlot(path, key.number, packet));
    await this.makeRoom();
  }

  private used(path: string, bytes: number): void {
    this.totalBytes += sizeOnDisk(bytes) - sizeOnDisk(this.files.get(path));
    this.files.delete(path);
    this.files.set(path, bytes);
  }

  private async makeRoom(): Promise<void> {
    for (const [path, bytes] of this.files) {
      if (this.totalBytes <= this.maxBytes) return;
      await rm(path, { force: true });
      this.files.delete(path);
      this.totalBytes -= sizeOnDisk(bytes);
    }
  }

  /** Learn what earlier runs have left. */
  private async scan(): Promise<void> {
    const found: { path: string; bytes: number; writtenAtMs: number }[] = [];
    for (const folder of await namesIn(this.directory, /^[0-9a-f]{2}$/)) {
      const paths = (await namesIn(join(this.directory, folder), namePattern)).map((name) =>
        join(this.directory, folder, name),
      );
      // One that has gone since is another server's doing.
      const stats = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)));
      for (const [i, file] of stats.entries()) {
        if (file) found.push({ path: paths[i]!, bytes: file.size, writtenAtMs: file.mtimeMs });
      }
    }
    found.sort((a, b) => a.writtenAtMs - b.writtenAtMs);
    for (const { path, bytes } of found) this.used(path, bytes);
    await this.makeRoom();
  }

  private failed(err: Error): void {
    if (!this.hasFailed) this.onError(err);
    this.hasFailed = true;
  }
}

function sizeOnDisk(bytes: number | undefined): number {
  return bytes === undefined ? 0 : Math.max(blockBytes, bytes);
}

async function namesIn(directory: string, pattern: RegExp): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => pattern.test(name));
  } catch (err: unknown) {
    if ((err as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw err;
  }
}
