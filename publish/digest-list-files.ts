/**
 * Signed digest lists on disk, so that a restart computes nothing twice: one file per blob and segment size, in which
 * list `i` has slot `i`: the sha256 of its packet, then the packet. What is cut off, damaged or never written counts as absent and is written again. Losing all of it costs only work.
 */
import { hash } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { SegmentSize } from "#blob/names.ts";
import { maxPacketBytes, readVarNumber, TT, varNumberBytes } from "#ndn/packet/tlv.ts";
import { type Digest, hexOf } from "#oci/reference.ts";

/** What the smallest file takes up on a disk. */
const blockBytes = 4096;
/** Lists that wait to be written; more are forgotten. */
const maxUnwritten = 64;
/** Room for the lists of 130 GiB of blobs. */
const defaultMaxBytes = 1024 * 1024 * 1024;
const checksumBytes = 32;
const slotBytes = checksumBytes + maxPacketBytes;
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

interface ListFile {
  readonly bytes: number;
  /** Which lists it has; unknown of what earlier runs have left. */
  readonly numbers: Set<number> | undefined;
}

/** Lists in a directory of mode 0700, files of mode 0600. */
export class DigestListFiles {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #onError: (err: Error) => void;
  /** By path, in order of use. */
  readonly #files = new Map<string, ListFile>();
  #totalBytes = 0;
  #unwritten = 0;
  #lastWrite: Promise<void>;
  /** Whether `#files` has what earlier runs have left. */
  #isScanned = false;
  #hasFailed = false;
  #isClosed = false;

  /**
   * @param maxBytes - Of all files together; the blobs that were not used for longest go first.
   * @param onError - Called for the first failure only: a disk that is full fails for every list.
   */
  constructor(directory: string, maxBytes: number, onError: (err: Error) => void) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
    this.#onError = onError;
    this.#lastWrite = this.#scan().catch((err: Error) => this.#failed(err));
  }

  /** The packet of a list as it was written; undefined when there is none, or it is damaged. */
  async read(key: ListKey): Promise<Buffer | undefined> {
    const path = this.#pathOf(key);
    const known = this.#files.get(path);
    const isAbsent = known ? known.numbers?.has(key.number) === false : this.#isScanned;
    if (isAbsent) return undefined;
    try {
      const packet = await readSlot(path, key.number);
      const file = this.#files.get(path);
      if (file) this.#used(path, file);
      return packet;
    } catch (err: unknown) {
      if ((err as NodeJS.ErrnoException).code !== "ENOENT") this.#failed(err as Error);
      return undefined;
    }
  }

  /** Keep a packet, some time later; what cannot be kept is forgotten. */
  write(key: ListKey, packet: Buffer): void {
    if (this.#isClosed || this.#unwritten >= maxUnwritten || packet.length > maxPacketBytes) return;
    this.#unwritten++;
    this.#lastWrite = this.#lastWrite
      .then(() => this.#store(key, packet))
      .catch((err: Error) => this.#failed(err))
      .finally(() => this.#unwritten--);
  }

  /** Wait for what is still to be written; what comes later is forgotten. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#lastWrite;
  }

  #pathOf({ digest, size }: ListKey): string {
    const hex = hexOf(digest);
    return join(this.#directory, hex.slice(0, 2), `${hex}.${size}`);
  }

  async #store(key: ListKey, packet: Buffer): Promise<void> {
    const path = this.#pathOf(key);
    await mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
    const bytes = await writeSlot(path, key.number, packet);
    const known = this.#files.get(path);
    const numbers = known ? known.numbers : this.#isScanned ? new Set<number>() : undefined;
    this.#used(path, { bytes, numbers: numbers?.add(key.number) });
    await this.#makeRoom();
  }

  #used(path: string, file: ListFile): void {
    this.#totalBytes += sizeOnDisk(file) - sizeOnDisk(this.#files.get(path));
    this.#files.delete(path);
    this.#files.set(path, file);
  }

  async #makeRoom(): Promise<void> {
    for (const [path, file] of this.#files) {
      if (this.#totalBytes <= this.#maxBytes) return;
      await rm(path, { force: true });
      this.#files.delete(path);
      this.#totalBytes -= sizeOnDisk(file);
    }
  }

  /** Learn what earlier runs have left. */
  async #scan(): Promise<void> {
    const found: { path: string; bytes: number; writtenAtMs: number }[] = [];
    for (const folder of await namesIn(this.#directory, /^[0-9a-f]{2}$/)) {
      const paths = (await namesIn(join(this.#directory, folder), namePattern)).map((name) =>
        join(this.#directory, folder, name),
      );
      // One that has gone since was removed by another server.
      const stats = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)));
      for (const [i, file] of stats.entries()) {
        if (file) found.push({ path: paths[i]!, bytes: file.size, writtenAtMs: file.mtimeMs });
      }
    }
    found.sort((a, b) => a.writtenAtMs - b.writtenAtMs);
    for (const { path, bytes } of found) this.#used(path, { bytes, numbers: undefined });
    this.#isScanned = true;
    await this.#makeRoom();
  }

  #failed(err: Error): void {
    if (!this.#hasFailed) this.#onError(err);
    this.#hasFailed = true;
  }
}

function sizeOnDisk(file: ListFile | undefined): number {
  return file === undefined ? 0 : Math.max(blockBytes, file.bytes);
}

async function namesIn(directory: string, pattern: RegExp): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => pattern.test(name));
  } catch (err: unknown) {
    if ((err as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw err;
  }
}

/** The packet in slot `number`; undefined when that is empty, cut off or damaged. @throws the file system's error. */
async function readSlot(path: string, number: number): Promise<Buffer | undefined> {
  const file = await open(path, "r");
  try {
    const slot = Buffer.alloc(slotBytes);
    const { bytesRead } = await file.read(slot, 0, slotBytes, number * slotBytes);
    return packetIn(slot.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

/** Write slot `number`. @returns the size of the file. @throws the file system's error. */
async function writeSlot(path: string, number: number, packet: Buffer): Promise<number> {
  // Neither truncates the file nor fails when it is new.
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT, 0o600);
  try {
    const slot = Buffer.concat([checksumOf(packet), packet]);
    await file.write(slot, 0, slot.length, number * slotBytes);
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

function packetIn(slot: Buffer): Buffer | undefined {
  const lengthAt = checksumBytes + 1;
  const length = slot[checksumBytes] === TT.Data ? readVarNumber(slot, lengthAt, slot.length) : -1;
  if (length < 0) return undefined;
  const packet = Buffer.from(slot.subarray(checksumBytes, lengthAt + varNumberBytes(slot, lengthAt) + length));
  return checksumOf(packet).equals(slot.subarray(0, checksumBytes)) ? packet : undefined;
}

function checksumOf(packet: Buffer): Buffer {
  return hash("sha256", packet, "buffer");
}
