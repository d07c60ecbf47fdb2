/**
 * A puller sees only what it may: the upstream is asked before a byte from elsewhere is released, and what it granted
 * is remembered for the time when it cannot be asked. Knowing a digest is not a right.
 */
import type { Logger } from "pino";
import type { BlobRef } from "#blob/source.ts";
import type { Digest } from "#oci/digest.ts";
import { type RegistryClient, RegistryUnreachable } from "#oci/registry-client.ts";
import type { Puller } from "../registries/request-context.ts";
import { type Grants, openGrants } from "./grants.ts";
import { headRight } from "./head-right.ts";

/** What the upstream says about one puller and one blob. */
export type Right =
  | {
      readonly kind: "granted";
      /** As the upstream says it, if it does. */
      readonly sizeBytes: number | undefined;
      /** Granted from memory, because the upstream has no answer. */
      readonly offline?: true;
    }
  | { readonly kind: "refused"; readonly status: number };

/** To whom something is released while the upstream has no answer: who was granted it before, if anybody was, or never. */
export type OfflinePolicy = "known-pullers" | "anyone" | "nobody";

export interface RightsOptions {
  registry: Pick<RegistryClient, "headBlob">;
  /** Which registry the grants are of, in its one spelling (`canonicalRegistry`). */
  registryHost: string;
  /** With `none` nothing is ever refused here, and the upstream is asked only for sizes. */
  authorize: "upstream" | "none";
  /** @defaultValue known-pullers */
  offline?: OfflinePolicy | undefined;
  /** Where grants outlive the process, beside their key in `<file>.key`; one file per registry. @defaultValue nowhere */
  file?: string | undefined;
  log?: Pick<Logger, "warn"> | undefined;
  /** Milliseconds of a clock that never goes back. @defaultValue performance.now */
  now?: (() => number) | undefined;
  /** @defaultValue 100000 */
  maxRemembered?: number | undefined;
}

/** `credential` is the identity of a puller (`Puller`); nobody in particular is one like another. */
export interface Rights {
  readonly offline: OfflinePolicy;
  /**
   * Ask the upstream. "Yes" holds for 5 minutes per credential, repository and digest; who asks the same at the same
   * time shares the question. Without an answer, or with 429 or 5xx, the memory decides by policy.
   *
   * @throws RegistryUnreachable when there is no answer, and no right in the memory.
   */
  ask(puller: Puller, blob: BlobRef): Promise<Right>;
  /** Whether the upstream said yes in the last 5 minutes. */
  isFresh(credential: string | undefined, repository: string, digest: Digest): boolean;
  /** The upstream said yes to somebody else's question, such as the manifest route's. */
  granted(credential: string | undefined, repository: string, digest: Digest, sizeBytes?: number): void;
  /** The upstream said no: 401, 403 or 404. */
  refused(credential: string | undefined, repository: string, digest: Digest): void;
  /** This registry has served the blob, by whatever way, to a puller that needs no right (`authorize` none). */
  served(digest: Digest): void;
  /** Whether it is known to have served it so, or granted it to anybody in this repository; the upstream is not asked. */
  hasServed(repository: string, digest: Digest): boolean;
  /** Whether it may be released while the upstream has no answer. */
  mayOffline(credential: string | undefined, repository: string, digest: Digest): boolean;
  /** Whether anything was ever granted to this credential, and is not forgotten. */
  isKnown(credential: string | undefined): boolean;
  /** Write what is not yet in the file. */
  close(): Promise<void>;
}

const freshMs = 5 * 60_000;
/** Patience with the upstream: when only it can say, when the memory can, and when it was silent lately. */
const timeoutsMs = { alone: 30_000, withMemory: 5_000, afterSilence: 1_000 } as const;
const silenceRememberedMs = 30_000;
/** Where a blob is that was served, whichever repository it was asked for in; no repository has this name. */
const anyRepository = "";
const refusals = new Set([401, 403, 404]);

export function createRights(options: RightsOptions): Rights {
  return new UpstreamRights(options);
}

class UpstreamRights implements Rights {
  readonly offline: OfflinePolicy;
  readonly #registry: Pick<RegistryClient, "headBlob">;
  readonly #isOpenToAll: boolean;
  readonly #grants: Grants;
  readonly #now: () => number;
  readonly #asking = new Map<string, Promise<Right>>();
  #silentUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: RightsOptions) {
    this.offline = options.offline ?? "known-pullers";
    this.#registry = options.registry;
    this.#isOpenToAll = options.authorize === "none";
    this.#now = options.now ?? (() => performance.now());
    this.#grants = openGrants(options);
  }

  async ask(puller: Puller, blob: BlobRef): Promise<Right> {
    const credential = puller.identity;
    const key = this.#grants.keyOf(credential, blob.repository, blob.digest);
    const known = this.#grants.get(key);
    if (known && known.freshUntilMs > this.#now()) return { kind: "granted", sizeBytes: known.sizeBytes };
    const running = this.#asking.get(key.text);
    if (running) return running;
    const answer = this.#askOnce(puller, blob).finally(() => this.#asking.delete(key.text));
    this.#asking.set(key.text, answer);
    return answer;
  }

  isFresh(credential: string | undefined, repository: string, digest: Digest): boolean {
    if (this.#isOpenToAll) return true;
    const known = this.#grants.get(this.#grants.keyOf(credential, repository, digest));
    return known !== undefined && known.freshUntilMs > this.#now();
  }

  granted(credential: string | undefined, repository: string, digest: Digest, sizeBytes?: number): void {
    this.#grants.add(this.#grants.keyOf(credential, repository, digest), sizeBytes, this.#now() + freshMs);
    if (this.#isOpenToAll) this.served(digest);
  }

  refused(credential: string | undefined, repository: string, digest: Digest): void {
    this.#grants.remove(this.#grants.keyOf(credential, repository, digest));
  }

  served(digest: Digest): void {
    this.#grants.add(this.#grants.keyOf(undefined, anyRepository, digest), undefined, Number.NEGATIVE_INFINITY);
  }

  hasServed(repository: string, digest: Digest): boolean {
    const isServed = this.#grants.get(this.#grants.keyOf(undefined, anyRepository, digest)) !== undefined;
    return isServed || this.#grants.isAnybodys(this.#grants.keyOf(undefined, repository, digest));
  }

  mayOffline(credential: string | undefined, repository: string, digest: Digest): boolean {
    return this.#isOpenToAll || this.#remembered(credential, repository, digest) !== undefined;
  }

  isKnown(credential: string | undefined): boolean {
    return this.#grants.isKnown(credential);
  }

  close(): Promise<void> {
    return this.#grants.close();
  }

  async #askOnce({ auth, identity: credential }: Puller, blob: BlobRef): Promise<Right> {
    const { repository, digest } = blob;
    const timeoutMs = this.#patienceMs(credential, blob);
    try {
      const right = await headRight(this.#registry, auth, blob, timeoutMs);
      this.#silentUntilMs = Number.NEGATIVE_INFINITY;
      if (right.kind === "granted") this.granted(credential, repository, digest, right.sizeBytes);
      else if (refusals.has(right.status)) this.refused(credential, repository, digest);
      else if (isOwnFailure(right.status)) return this.#inItsPlace(credential, blob) ?? right;
      return right.kind === "refused" && this.#isOpenToAll ? { kind: "granted", sizeBytes: undefined } : right;
    } catch (err: unknown) {
      // What was asked with little patience proves nothing: an upstream that is only slow is given its time again.
      if (timeoutMs > timeoutsMs.afterSilence) this.#silentUntilMs = this.#now() + silenceRememberedMs;
      const right = err instanceof RegistryUnreachable ? this.#inItsPlace(credential, blob) : undefined;
      if (!right) throw err;
      return right;
    }
  }

  #patienceMs(credential: string | undefined, { repository, digest }: BlobRef): number {
    if (!this.mayOffline(credential, repository, digest)) return timeoutsMs.alone;
    return this.#now() < this.#silentUntilMs ? timeoutsMs.afterSilence : timeoutsMs.withMemory;
  }

  /** What the memory grants while the upstream has no answer. */
  #inItsPlace(credential: string | undefined, { repository, digest }: BlobRef): Right | undefined {
    if (!this.mayOffline(credential, repository, digest)) return undefined;
    const { sizeBytes } = this.#remembered(credential, repository, digest) ?? { sizeBytes: undefined };
    return { kind: "granted", sizeBytes, offline: true };
  }

  #remembered(
    credential: string | undefined,
    repository: string,
    digest: Digest,
  ): { readonly sizeBytes: number | undefined } | undefined {
    if (this.offline === "nobody") return undefined;
    const key = this.#grants.keyOf(credential, repository, digest);
    const own = this.#grants.get(key);
    if (own) return own;
    if (this.offline === "anyone") return this.#grants.isAnybodys(key) ? { sizeBytes: undefined } : undefined;
    // Nobody has fewer rights than who brings no credential at all.
    return this.#grants.get(this.#grants.keyOf(undefined, repository, digest));
  }
}

/** The upstream says nothing about rights: it is out of order, or the puller's quota is used up. */
function isOwnFailure(status: number): boolean {
  return status === 429 || status >= 500;
}
