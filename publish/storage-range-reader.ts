/**
 * Ranges of blobs from the storage directory of a registry on the same machine (the layout of distribution's
 * filesystem driver): only what a repository links to, so that the directory gives away no more than the registry.
 */
import { type Dirent, read } from "node:fs";
import { access, type FileHandle, open, opendir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { BlobRef } from "#blob/source.ts";
import type { Body, BodySink } from "#oci/direct-get.ts";
import { type Digest, hexOf, isRepository } from "#oci/reference.ts";
import type { RangeRead, RangeReader } from "./range-reader.ts";

/** Repositories looked through for a digest for which no repository is named. */
const maxRepositories = 10_000;
const listTtlMs = 60_000;
const rootPath = ["docker", "registry", "v2"];
/** Where a repository says which blobs and manifests it has. */
const blobLinks = "_layers";
const manifestLinks = join("_manifests", "revisions");

/** Codes of a path that leads nowhere. */
const notThere: ReadonlySet<string | undefined> = new Set(["ENOENT", "ENOTDIR"]);

/**
 * Check that a registry's storage is here and can be read.
 *
 * @returns Whether it has repositories: a new registry has none before its first push, and one that is not mounted
 * looks the same.
 * @throws Error that says what is wrong and what to do.
 */
export async function checkStorage(directory: string): Promise<boolean> {
  const isThere = async (path: string) => {
    try {
      await (await opendir(path)).close();
      return true;
    } catch (err: unknown) {
      const { code, message } = err as NodeJS.ErrnoException;
      if (notThere.has(code)) return false;
      throw new Error(`${message}: let this program's user read it`, { cause: err });
    }
  };
  if (await isThere(directory)) return isThere(repositoriesIn(directory));
  throw new Error(`${directory} is no directory: name the rootdirectory of the registry's storage, or mount it`);
}

/**
 * Reads below `<directory>/docker/registry/v2`. Only what is not in a `repositories` directory that is there counts as
 * absent: when the disk is not mounted, or fails, that cannot be told.
 */
export class StorageRangeReader implements RangeReader {
  readonly #blobs: string;
  readonly #repositories: string;
  #list: { readonly names: readonly string[]; readonly readAtMs: number } | undefined;

  constructor(directory: string) {
    this.#blobs = join(directory, ...rootPath, "blobs");
    this.#repositories = repositoriesIn(directory);
  }

  async read(blob: BlobRef, start: number, end: number, signal?: AbortSignal): Promise<RangeRead | undefined> {
    if (!(await this.#isLinked(blob))) return undefined;
    const hex = hexOf(blob.digest);
    const path = join(this.#blobs, "sha256", hex.slice(0, 2), hex, "data");
    const file = await this.#unlessAbsent(open(path));
    if (file === undefined) return undefined;
    try {
      const sizeBytes = (await file.stat()).size;
      return { sizeBytes, body: bodyOfFile(file, start, Math.min(end, sizeBytes), signal) };
    } catch (err: unknown) {
      await file.close();
      throw err;
    }
  }

  /**
   * The repositories that link to this digest, as a blob or as a manifest; one that cannot be read is passed over, as
   * these are candidates.
   */
  async repositoriesWith(digest: Digest): Promise<string[]> {
    const found: string[] = [];
    for (const repository of await this.#listRepositories()) {
      const isIn = (folder: string) => this.#isLinked({ repository, digest }, folder).catch(() => false);
      if ((await isIn(blobLinks)) || (await isIn(manifestLinks))) found.push(repository);
    }
    return found;
  }

  async #listRepositories(): Promise<readonly string[]> {
    const now = performance.now();
    if (this.#list === undefined || now - this.#list.readAtMs > listTtlMs) {
      const names: string[] = [];
      await this.#collect("", await readdir(this.#repositories, { withFileTypes: true }), names);
      this.#list = { names, readAtMs: now };
    }
    return this.#list.names;
  }

  async #collect(path: string, entries: readonly Dirent[], names: string[]): Promise<void> {
    if (entries.some(({ name }) => name === "_layers" || name === "_manifests")) names.push(path);
    for (const entry of entries) {
      if (names.length >= maxRepositories) return;
      if (!entry.isDirectory() || entry.name.startsWith("_")) continue;
      const below = path ? `${path}/${entry.name}` : entry.name;
      const inside = await readdir(join(this.#repositories, below), { withFileTypes: true }).catch(() => []);
      await this.#collect(below, inside, names);
    }
  }

  async #isLinked(blob: BlobRef, folder = blobLinks): Promise<boolean> {
    if (!isRepository(blob.repository)) return false;
    const link = join(this.#repositories, blob.repository, folder, "sha256", hexOf(blob.digest), "link");
    return (await this.#unlessAbsent(access(link).then(() => true))) ?? false;
  }

  /** What was found; undefined when it is not there although the storage is. @throws Error when that cannot be told. */
  async #unlessAbsent<T>(finding: Promise<T>): Promise<T | undefined> {
    try {
      return await finding;
    } catch (err: unknown) {
      if (!notThere.has((err as NodeJS.ErrnoException).code)) throw err;
      await access(this.#repositories);
      return undefined;
    }
  }
}

/** Where the repositories are in a registry's storage. */
export function repositoriesIn(directory: string): string {
  return join(directory, ...rootPath, "repositories");
}

/** Bytes `[start, end)` of a file that is then closed. */
function bodyOfFile(file: FileHandle, start: number, end: number, signal?: AbortSignal): Body {
  return {
    async pourInto(sink) {
      try {
        await pourFile(file, start, end, sink, signal);
      } finally {
        await file.close();
      }
    },
    cancel: () => void file.close(),
  };
}

// Twice as cheap per read as the one of FileHandle.
const readFile = promisify(read);

async function pourFile(file: FileHandle, start: number, end: number, sink: BodySink, signal?: AbortSignal) {
  for (let at = start; at < end; ) {
    signal?.throwIfAborted();
    const space = sink.space();
    const { bytesRead } = await readFile(file.fd, space, 0, Math.min(space.length, end - at), at);
    if (bytesRead === 0) throw new Error(`the file ends at byte ${at} of ${end}`);
    at += bytesRead;
    if (!(await sink.filled(bytesRead))) return;
  }
}
