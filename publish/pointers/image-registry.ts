/**
 * What pointers ask of the registry: what tags mean, manifests, lists. With a login only where the operator has listed
 * the repository; else as anyone may ask, so that nothing goes onto NDN that an anonymous pull cannot read.
 */
import { Semaphore } from "#base/limits.ts";
import { headManifest, type Manifest, readManifest } from "#oci/manifest-reader.ts";
import type { Digest } from "#oci/reference.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import { type Descriptor, descriptorsOf, listReferrers, listRepositories, listTags } from "#oci/registry-lists.ts";
import { isAbsent } from "#oci/small-body.ts";

/** Requests at a time, and those that wait for one; each may bring 4 MiB. */
const requestsAtOnce = 16;
const maxWaiting = 256;
/** The same for lists, which may have 16 MiB. */
const listsAtOnce = 2;
const maxListsWaiting = 64;

/** Which of the repositories the operator has named. */
interface Logins {
  isListed(repository: string): boolean;
}

/** A registry, as pointers read it; undefined always means that there is none, or none that everyone may read. */
export class ImageRegistry {
  readonly #client: RegistryClient;
  readonly #logins: Logins;
  readonly #requests = new Semaphore(requestsAtOnce, maxWaiting);
  readonly #lists = new Semaphore(listsAtOnce, maxListsWaiting);
  readonly #stop = new AbortController();

  constructor(client: RegistryClient, logins: Logins) {
    this.#client = client;
    this.#logins = logins;
  }

  /**
   * The digest of a manifest by tag or digest, by HEAD: what a tag means, or whether a manifest is still there.
   *
   * @returns the digest; `unsaid` when only a GET of the manifest can tell.
   * @throws Error when the registry cannot tell now, as all of these do.
   */
  async digestOf(repository: string, reference: string): Promise<Digest | "unsaid" | undefined> {
    const ask = () => headManifest(this.#client, repository, reference, this.#asking(repository));
    const found = await this.#requests.run(ask, this.#stop.signal);
    return found === "absent" ? undefined : (found ?? "unsaid");
  }

  /** A manifest by tag or digest, hashed. */
  manifest(repository: string, reference: string): Promise<Manifest | undefined> {
    const read = () => readManifest(this.#client, repository, reference, this.#asking(repository));
    return this.#requests.run(read, this.#stop.signal);
  }

  /** All tags of a repository. */
  tags(repository: string): Promise<string[] | undefined> {
    return this.#list(() => listTags(this.#client, repository, this.#asking(repository)));
  }

  /** What refers to a manifest: as the registry lists it, else as its users do by the tag `sha256-<hex>` (OCI distribution-spec § Referrers Tag Schema). */
  referrers(repository: string, digest: Digest): Promise<Descriptor[] | undefined> {
    return this.#list(async () => {
      const options = this.#asking(repository);
      const listed = await listReferrers(this.#client, repository, digest, options);
      if (listed) return listed;
      const index = await readManifest(this.#client, repository, digest.replace(":", "-"), options);
      return index && descriptorsOf(index.bytes);
    });
  }

  /** All repositories, as far as the registry's login may see them: not all of them are for everyone. */
  repositories(): Promise<string[] | undefined> {
    return this.#list(() => listRepositories(this.#client, { auth: { kind: "login" }, signal: this.#stop.signal }));
  }

  /** Whether everyone may read a repository, or the operator has named it. */
  async isPublic(repository: string): Promise<boolean> {
    if (this.#logins.isListed(repository)) return true;
    return this.#requests.run(async () => {
      const path = `/v2/${repository}/tags/list?n=1`;
      const { status, body } = await this.#client.request("GET", path, this.#asking(repository));
      body.destroy();
      if (status !== 200 && !isAbsent(status)) throw new Error(`registry answered ${status} to GET ${path}`);
      return status === 200;
    }, this.#stop.signal);
  }

  /** End all that is under way. */
  close(): void {
    this.#stop.abort();
  }

  #list<T>(work: () => Promise<T>): Promise<T> {
    return this.#lists.run(work, this.#stop.signal);
  }

  #asking(repository: string) {
    const kind = this.#logins.isListed(repository) ? "login" : "anonymous";
    return { auth: { kind }, signal: this.#stop.signal } as const;
  }
}
