import type { ManifestRights } from "#client/manifests/manifest-request.ts";
import type { OfflinePolicy } from "#client/registries/client-config.ts";
import type { Digest } from "#oci/reference.ts";

/** Rights for tests: nothing is forgotten, and whether it is fresh can be said. */
export class RightsDouble implements ManifestRights {
  offline: OfflinePolicy;
  fresh = false;
  readonly #granted = new Set<string>();

  constructor(offline: OfflinePolicy) {
    this.offline = offline;
  }

  granted(credential: string | undefined, repository: string, digest: Digest): void {
    this.#granted.add(key(credential, repository, digest));
  }

  refused(credential: string | undefined, repository: string, digest: Digest): void {
    this.#granted.delete(key(credential, repository, digest));
  }

  isFresh(credential: string | undefined, repository: string, digest: Digest): boolean {
    return this.fresh && this.#granted.has(key(credential, repository, digest));
  }

  mayOffline(credential: string | undefined, repository: string, digest: Digest): boolean {
    if (this.offline === "anyone") return true;
    return this.offline === "known-pullers" && this.#granted.has(key(credential, repository, digest));
  }

  isKnown(credential: string | undefined): boolean {
    return [...this.#granted].some((grant) => grant.startsWith(`${credential ?? ""} `));
  }
}

function key(credential: string | undefined, repository: string, digest: Digest): string {
  return `${credential ?? ""} ${repository} ${digest}`;
}
