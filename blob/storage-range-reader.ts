/**
 * Ranges of blobs from the storage directory of a registry on the same machine (the layout of distribution's
 * filesystem driver): only what a repository links to, so that the directory gives away no more than the registry.
 */
import { read } from "node:fs";
import { access, type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Body, BodySink } from "#oci/body.ts";
import { type Digest, hexOf } from "#oci/digest.ts";
import { isRepository } from "#oci/reference.ts";
import type { RangeRead, RangeReader } from "./range-reader.ts";
import type { BlobRef } from "./source.ts";

/** Repositories looked through for a digest that nobody has named a place for. */
const maxRepositories = 10_000;
const listTtlMs = 60_000;

/** Reads below `<directory>/docker/registry/v2`. */
export class StorageRangeReader implements RangeReader {
  private readonly root: string;
  private repositories: { readonly names: readonly string[]; readonly readAtMs: number } | undefined;

  constructor(directory: string) {
    this.root = join(directory, "docker", "registry", "v2");
  }

  async read(blob: BlobRef, start: number, end: number, signal?: AbortSignal): Promise<RangeRead | undefined> {
    if (!(await this.isLinked(blob))) return undefined;
    const hex = hexOf(blob.digest);
    const path = join(this.root, "blobs", "sha256", hex.slice(0, 2), hex, "data");
    const file = await openFile(path);
    if (file === undefined) return undefined;
    try {
      const sizeBytes = (await file.stat()).size;
      return { sizeBytes, body: bodyOfFile(file, start, Math.min(end, sizeBytes), signal) };
    } catch (err: unknown) {
      await file.close();
      throw err;
    }
  }

  /** The repositories that link to this digest. */
  async repositoriesWith(digest: Digest): Promise<string[]> {
    const found: string[] = [];
    for (const repository of await this.listRepositories()) {
      if (await this.isLinked({ repository, digest })) found.push(repository);
    }
    return found;
  }

  private async listRepositories(): Promise<readonly string[]> {
    const now = performance.now();
    if (this.repositories === undefined || now - this.repositories.readAtMs > listTtlMs) {
      const names: string[] = [];
      await this.collect("", names);
      this.repositories = { names, readAtMs: now };
    }
    return this.repositories.names;
  }

  private async collect(path: string, names: string[]): Promise<void> {
    const entries = await readdir(join(this.root, "repositories", path), { withFileTypes: true }).catch(() => []);
    if (entries.some((entry) => entry.name === "_layers")) names.push(path);
    for (const entry of entries) {
      if (names.length >= maxRepositories) return;
      if (entry.isDirectory() && !entry.name.startsWith("_"))
        await this.collect(path ? `${path}/${entry.name}` : entry.name, names);
    }
  }

  private async isLinked(blob: BlobRef): Promise<boolean> {
    if (!isRepository(blob.repository)) return false;
    const link = join(this.root, "repositories", blob.repository, "_layers", "sha256", hexOf(blob.digest), "link");
    return access(link).then(
      () => true,
      () => false,
    );
  }
}

async function openFile(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path);
  } catch (err: unknown) {
    if ((err as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw err;
  }
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
