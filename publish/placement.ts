/**
 * Where a blob is read from: names of segments say only its digest.
 */

import { TokenBucket } from "#base/token-bucket.ts";
import { repositoryOfHint } from "#blob/names.ts";
import type { InterestFields } from "#ndn/packet/interest.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { Digest } from "#oci/digest.ts";
import type { KnownPlaces } from "./known-places.ts";
import type { OpenBlobs } from "./open-blobs.ts";
import type { PagedBlob } from "./paged-blob.ts";
import type { PublishPolicy } from "./range-reader.ts";

/** A search looks into every repository on the disk: this is how many of them strangers can cause. */
const searchesPerSecond = 20;

/** What blobs are placed with. */
export interface PlacementOptions {
  readonly prefix: Name;
  readonly policy: PublishPolicy;
  readonly places: KnownPlaces;
  readonly blobs: OpenBlobs;
  /** Looks a digest up where nobody has named a repository (`--storage`). */
  readonly search: ((digest: Digest) => Promise<readonly string[]>) | undefined;
}

/** Finds the repository of a blob, and opens it there. */
export class Placement {
  private readonly options: PlacementOptions;
  private readonly searches = new TokenBucket(searchesPerSecond, 5 * searchesPerSecond);

  constructor(options: PlacementOptions) {
    this.options = options;
  }

  /** Repositories that the hint and earlier Interests name; undefined when there is nowhere to look. No I/O. */
  candidates(digest: Digest, interest: InterestFields): readonly string[] | undefined {
    const { prefix, policy, places, search } = this.options;
    const hinted = interest.forwardingHint
      .map((hint) => repositoryOfHint(prefix, hint))
      .filter((repository) => repository !== undefined);
    const named = [...new Set([...hinted, ...places.repositoriesOf(digest)])];
    const repositories = named.filter((repository) => policy.allows(repository));
    return repositories.length === 0 && search === undefined ? undefined : repositories;
  }

  /** The blob from the first repository that has it. @throws Error when that cannot be told now. */
  async open(digest: Digest, repositories: readonly string[]): Promise<PagedBlob | undefined> {
    const { blobs, places, policy } = this.options;
    const open = blobs.alreadyOpen(digest, repositories);
    if (open) return open;
    const found = repositories.length > 0 ? repositories : await this.search(digest);
    for (const repository of found.filter((name) => policy.allows(name))) {
      const blob = await blobs.get({ repository, digest });
      if (blob === undefined) continue;
      places.learn(digest, repository);
      return blob;
    }
    return undefined;
  }

  private async search(digest: Digest): Promise<readonly string[]> {
    const { search } = this.options;
    return search !== undefined && this.searches.tryTake() ? search(digest) : [];
  }
}
