/**
 * Where things lie in the store's directory: an OCI image layout that other tools can read (OCI image-spec,
 * image-layout.md), and beside it `partial/` for what is not a blob yet.
 */
import { chmod, mkdir, readdir, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "#base/errors.ts";
import { type Digest, hexOf } from "#oci/reference.ts";
import { StoreError } from "./store-port.ts";

/** Blobs of private images are no one else's business on this machine. */
export const directoryMode = 0o700;
export const fileMode = 0o600;

/** The paths of one store. */
export class ImageLayout {
  readonly directory: string;
  /** Verified blobs, and nothing else. */
  readonly blobs: string;
  /** Files that are being written, and what broke off. */
  readonly partials: string;

  constructor(directory: string) {
    this.directory = directory;
    this.blobs = join(directory, "blobs", "sha256");
    this.partials = join(directory, "partial");
  }

  blob(digest: Digest): string {
    return `${this.blobs}/${hexOf(digest)}`;
  }

  /** The whole size is part of the name: it is known of what broke off without a second file. */
  partial(digest: Digest, sizeBytes: number): string {
    return `${this.partials}/${hexOf(digest)}.${sizeBytes}`;
  }

  makeDirectory(): Promise<void> {
    return makeDirectory(this.directory);
  }

  /**
   * Make what is missing in the directory.
   *
   * @throws StoreError when it is perhaps another's and holds blobs that no store has written: they would be evicted.
   */
  async make(owner: "ours" | "perhaps another's"): Promise<void> {
    if (owner !== "ours" && !(await exists(this.partials)) && (await isFilled(this.blobs))) {
      throw new StoreError(
        `${this.directory} holds an image layout that no cache has written, and a cache deletes what it has no room for: choose another directory`,
      );
    }
    await makeDirectory(this.partials);
    await makeDirectory(join(this.directory, "blobs"));
    await makeDirectory(this.blobs);
    await this.#makeFile("oci-layout", { imageLayoutVersion: "1.0.0" });
    await this.#makeFile("index.json", { schemaVersion: 2, mediaType: indexMediaType, manifests: [] });
  }

  /** By rename, so that a crash never leaves half a file that would then be taken for another's content. */
  async #makeFile(name: string, content: object): Promise<void> {
    const path = join(this.directory, name);
    if (await exists(path)) return;
    const temporary = join(this.partials, name);
    await writeFile(temporary, JSON.stringify(content), { mode: fileMode });
    await rename(temporary, path);
  }
}

const indexMediaType = "application/vnd.oci.image.index.v1+json";

async function makeDirectory(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: directoryMode });
  if (made !== undefined) await chmod(path, directoryMode); // whatever the umask says
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (err: unknown) {
    if (errorCode(err) === "ENOENT") return false;
    throw err;
  }
}

async function isFilled(directory: string): Promise<boolean> {
  return (await exists(directory)) && (await readdir(directory)).length > 0;
}
