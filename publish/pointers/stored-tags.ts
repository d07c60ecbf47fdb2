/**
 * What tags mean, from the storage directory of a registry on the same machine (the layout of distribution's filesystem
 * driver): one small file for each tag, which costs the registry nothing.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { forEachBounded } from "#base/limits.ts";
import { type Digest, parseSha256 } from "#oci/reference.ts";
import { repositoriesIn } from "../storage-range-reader.ts";
import type { StoredTags } from "./tag-digests.ts";

/** Files read at a time: as many as Node has threads for that, and their successors. */
const readsAtOnce = 16;

/** Reads below `<directory>/docker/registry/v2/repositories`; repositories and tags must be checked already. */
export class DiskTags implements StoredTags {
  readonly #repositories: string;

  constructor(directory: string) {
    this.#repositories = repositoriesIn(directory);
  }

  async digestsOf(repository: string, tags: readonly string[]): Promise<ReadonlyMap<string, Digest>> {
    const digests = new Map<string, Digest>();
    await forEachBounded(tags, readsAtOnce, async (tag) => {
      const path = join(this.#repositories, repository, "_manifests", "tags", tag, "current", "link");
      const digest = parseSha256(await readFile(path, "utf8").catch(() => ""));
      if (digest) digests.set(tag, digest);
    });
    return digests;
  }
}
