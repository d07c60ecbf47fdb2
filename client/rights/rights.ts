/**
 * A puller sees only what it may: the upstream is asked before a byte from elsewhere is released, and what it granted
 * is remembered for the time when it cannot be asked. Knowing a digest is not a right.
 */
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import { withTimeout } from "#base/abort.ts";
import type { BlobRef } from "#blob/source.ts";
import type { PullerAuth } from "#oci/auth.ts";
import { BlobProbe, type ProbedRegistry } from "#oci/blob-probe.ts";
import type { Digest } from "#oci/reference.ts";
import { RegistryUnreachable } from "#oci/registry-client.ts";
import type { Authorize, OfflinePolicy } from "../registries/client-config.ts";
import type { Puller } from "../registries/router.ts";
import { UpstreamWait, type WaitOptions } from "../registries/upstream-wait.ts";
import { type GrantKey, type Grants, openGrants } from "./grants.ts";

/** What the upstream says about one puller and one blob. */
export type Right =
  | {
      readonly kind: "granted";
      /** As the upstream says it, if it does. */
      readonly sizeBytes: number | undefined;
      /** Remembered as granted, because the upstream has no answer. */
      readonly offline?: true;
    }
  | { readonly kind: "refused"; readonly status: number };

/** One question to the upstream. */
interface Question {
  /** It ends within 30 s, and is remembered. */
  readonly answer: Promise<Right>;
  /** Undefined when it is late, and something is remembered. */
  readonly inTime: Promise<Right | undefined>;
}

export interface RightsOptions extends Pick<WaitOptions, "withCacheMs"> {
  registry: ProbedRegistry;
  /** Which registry the grants are of, in its one spelling (`canonicalRegistry`). */
  registryHost: string;
  /**
   * The size of a blob that is published on NDN, and so for everyone: asked while the upstream has no answer and nothing
   * is remembered. Undefined when it is not. @defaultValue nothing is
   */
  publishedSize?: ((blob: BlobRef, signal: AbortSignal) => Promise<number | undefined>) | undefined;
  /** With `none` nothing is ever refused here, and the upstream is asked only for sizes. */
  authorize: Authorize;
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

/** `credential` is the identity of a puller (`Puller`); undefined for every puller without one. */
export interface Rights {
  readonly offline: OfflinePolicy;
  /**
   * Ask the upstream. "Yes" holds for 5 minutes per credential, repository and digest; the same
   * question at the same time is asked once. Without an answer, or with 429 or 5xx, remembered rights decide by policy.
   *
   * @throws RegistryUnreachable when there is no answer, and no right is remembered; RightUnanswered after 30 s.
   */
  ask(puller: Puller, blob: BlobRef): Promise<Right>;
  /** Whether the upstream said yes in the last 5 minutes. */
  isFresh(credential: string | undefined, repository: string, digest: Digest): boolean;
  /** The upstream said yes to another request, such as the manifest route's. */
  granted(credential: string | undefined, repository: string, digest: Digest, sizeBytes?: number): void;
  /** The upstream said no: 401, 403 or 404. */
  refused(credential: string | undefined, repository: string, digest: Digest): void;
  /** This registry has served the blob, by whatever way, to a puller that needs no right (`authorize` none). */
  served(digest: Digest): void;
  /** Whether it is known to have served it so, or granted it to any puller in this repository; the upstream is not asked. */
  hasServed(repository: string, digest: Digest): boolean;
  /** Whether it may be released while the upstream has no answer. */
  mayOffline(credential: string | undefined, repository: string, digest: Digest): boolean;
  /** Whether anything was ever granted to this credential, and is not forgotten. */
  isKnown(credential: string | undefined): boolean;
  /** Whether a refusal of a HEAD means that a GET is refused as well, as far as is known of the upstream. */
  readonly believesHead: boolean;
  /** Write what is not yet in the file. */
  close(): Promise<void>;
}

/** The upstream may say later whether the puller may have it: it is silent, and nothing is remembered. */
export class RightUnanswered extends RegistryUnreachable {}

const freshMs = 5 * 60_000;
const maxRefused = 10_000;
/** How long the upstream may take to say who may have what; where that is remembered, no one waits for so long. */
const timeoutMs = 30_000;
/** How long a server on NDN may take to say that a blob is published. */
const publicTimeoutMs = 10_000;
/** Where a blob is that was served, whichever repository it was asked for in; no repository has this name. */
const anyRepository = "";
/** What the upstream answers to those who may not. */
export const refusals: ReadonlySet<number> = new Set([401, 403, 404]);

export function createRights(options: RightsOptions): Rights {
  return new UpstreamRights(options);
}

class UpstreamRights implements Rights {
  readonly offline: OfflinePolicy;
  readonly #probe: BlobProbe;
  readonly #isOpenToAll: boolean;
  readonly #publishedSize: RightsOptions["publishedSize"];
  readonly #grants: Grants;
  readonly #now: () => number;
  readonly #wait: UpstreamWait;
  readonly #running = new Map<string, Question>();
  readonly #refusedLately: LRUCache<string, true>;

  constructor(options: RightsOptions) {
    this.offline = options.offline ?? "known-pullers";
    this.#isOpenToAll = options.authorize === "none";
    this.#publishedSize = options.publishedSize;
    this.#now = options.now ?? (() => performance.now());
    this.#probe = new BlobProbe(options.registry, { now: this.#now });
    this.#grants = openGrants(options);
    this.#refusedLately = new LRUCache({ max: maxRefused, ttl: freshMs, ttlResolution: 0, perf: { now: this.#now } });
    // Blobs do not change: what is remembered can only be too generous, until the late answer is heard.
    this.#wait = new UpstreamWait({ ...options, isLateSilent: true });
  }

  async ask(puller: Puller, blob: BlobRef): Promise<Right> {
    const credential = puller.identity;
    const key = this.#grants.keyOf(credential, blob.repository, blob.digest);
    const known = this.#grants.get(key);
    if (known && known.freshUntilMs > this.#now()) return { kind: "granted", sizeBytes: known.sizeBytes };
    const question = this.#running.get(key.text) ?? this.#begin(puller, blob, key);
    return (await question.inTime) ?? this.#offlineRight(key) ?? (await this.#publicRight(blob)) ?? question.answer;
  }

  isFresh(credential: string | undefined, repository: string, digest: Digest): boolean {
    if (this.#isOpenToAll) return true;
    const known = this.#grants.get(this.#grants.keyOf(credential, repository, digest));
    return known !== undefined && known.freshUntilMs > this.#now();
  }

  granted(credential: string | undefined, repository: string, digest: Digest, sizeBytes?: number): void {
    this.#grant(this.#grants.keyOf(credential, repository, digest), digest, sizeBytes);
  }

  refused(credential: string | undefined, repository: string, digest: Digest): void {
    this.#refuse(this.#grants.keyOf(credential, repository, digest));
  }

  served(digest: Digest): void {
    this.#grants.add(this.#grants.keyOf(undefined, anyRepository, digest), undefined, Number.NEGATIVE_INFINITY);
  }

  hasServed(repository: string, digest: Digest): boolean {
    const isServed = this.#grants.get(this.#grants.keyOf(undefined, anyRepository, digest)) !== undefined;
    return isServed || this.#grants.isAnyones(this.#grants.keyOf(undefined, repository, digest));
  }

  mayOffline(credential: string | undefined, repository: string, digest: Digest): boolean {
    return this.#offlineRight(this.#grants.keyOf(credential, repository, digest)) !== undefined;
  }

  get believesHead(): boolean {
    return this.#probe.believesHead;
  }

  isKnown(credential: string | undefined): boolean {
    return this.#grants.isKnown(credential);
  }

  close(): Promise<void> {
    return this.#grants.close();
  }

  #begin(puller: Puller, blob: BlobRef, key: GrantKey): Question {
    const isRemembered = this.#offlineRight(key) !== undefined;
    const over = new AbortController();
    const insists = !isRemembered;
    const ask = (signal: AbortSignal) => rightBy(this.#probe, puller.auth, blob, { signal, insists });
    const asked = this.#wait.watch(withTimeout(timeoutMs, over.signal, ask));
    const isCurrent = () => this.#running.get(key.text) === question;
    const answer = this.#learn(asked, blob, key, isCurrent).finally(() => {
      if (isCurrent()) this.#running.delete(key.text);
    });
    const inTime = isRemembered || this.#publishedSize ? this.#wait.inTime(answer, over) : answer;
    const question = { answer, inTime };
    this.#running.set(key.text, question);
    return question;
  }

  /** The upstream's answer remembered, unless a refusal came since it was asked; or what is remembered in its place. */
  async #learn(asked: Promise<Right>, blob: BlobRef, key: GrantKey, isCurrent: () => boolean): Promise<Right> {
    const { digest } = blob;
    const inItsPlace = async () => this.#offlineRight(key) ?? (await this.#publicRight(blob));
    try {
      const right = await asked;
      if (right.kind === "granted") {
        if (isCurrent()) this.#grant(key, digest, right.sizeBytes);
      } else if (refusals.has(right.status)) this.#refuse(key);
      else if (isOwnFailure(right.status)) return (await inItsPlace()) ?? right;
      return right.kind === "refused" && this.#isOpenToAll ? { kind: "granted", sizeBytes: undefined } : right;
    } catch (err: unknown) {
      const right = err instanceof RegistryUnreachable ? await inItsPlace() : undefined;
      if (!right) throw err;
      return right;
    }
  }

  /** What is published on NDN is for everyone. */
  async #publicRight(blob: BlobRef): Promise<Right | undefined> {
    const sizeBytes = await this.#publishedSize?.(blob, AbortSignal.timeout(publicTimeoutMs)).catch(() => undefined);
    return sizeBytes === undefined ? undefined : { kind: "granted", sizeBytes, offline: true };
  }

  #refuse(key: GrantKey): void {
    this.#grants.remove(key);
    this.#refusedLately.set(key.text, true);
    this.#running.delete(key.text); // what was asked before is out of date
  }

  #grant(key: GrantKey, digest: Digest, sizeBytes: number | undefined): void {
    this.#refusedLately.delete(key.text);
    this.#grants.add(key, sizeBytes, this.#now() + freshMs);
    if (this.#isOpenToAll) this.served(digest);
  }

  /** What is remembered as granted, for the time when the upstream has no answer. */
  #offlineRight(key: GrantKey): Right | undefined {
    const { offline } = this;
    const own = offline === "nobody" ? undefined : this.#grants.get(key);
    // No one has fewer rights than a puller without a credential, until the upstream says so.
    const shared =
      own || offline !== "known-pullers" || this.#refusedLately.has(key.text)
        ? undefined
        : this.#grants.get(this.#grants.withoutCredential(key));
    const isGranted = (own ?? shared) !== undefined || (offline === "anyone" && this.#grants.isAnyones(key));
    if (!isGranted && !this.#isOpenToAll) return undefined;
    return { kind: "granted", sizeBytes: (own ?? shared)?.sizeBytes, offline: true };
  }
}

/** The upstream says nothing about rights: it is out of order, or the puller's quota is used up. */
function isOwnFailure(status: number): boolean {
  return status === 429 || status >= 500;
}

/**
 * Ask the upstream in the puller's name. The request outlives the puller that made it first: others may be waiting for
 * the same answer.
 *
 * @throws RegistryUnreachable when there is no answer; RightUnanswered when `signal` has ended the question.
 */
async function rightBy(
  probe: BlobProbe,
  auth: PullerAuth,
  { repository, digest }: BlobRef,
  question: { signal: AbortSignal; insists: boolean },
): Promise<Right> {
  try {
    const { status, sizeBytes } = await probe.ask(repository, digest, { auth, ...question });
    return status === 200 ? { kind: "granted", sizeBytes } : { kind: "refused", status };
  } catch (err: unknown) {
    if (err instanceof RegistryUnreachable) throw err;
    throw new RightUnanswered(`who may have ${digest} was not answered in time`, { cause: err });
  }
}
