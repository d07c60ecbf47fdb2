/**
 * What pointers point at: asks the registry what is not known, or no longer, and makes an object of the answer.
 */
import { TokenBucket } from "#base/limits.ts";
import { maxSnapshotBytes } from "#blob/pointer.ts";
import type { PointerKind, PointerTarget } from "#blob/pointer-names.ts";
import { encodeCatalog, encodeReferrers, encodeTagList, snapshotTypes } from "#blob/snapshots.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { Digest } from "#oci/reference.ts";
import type { Catalog } from "./catalog.ts";
import type { ImageRegistry } from "./image-registry.ts";
import type { KeptManifest, Manifests } from "./manifests.ts";
import { type Recent, RecentAnswers } from "./recent-answers.ts";
import type { Snapshots } from "./snapshots.ts";
import type { TagDigests } from "./tag-digests.ts";

/** How long an answer of the registry serves others who ask the same: as long as a pointer is fresh. */
const sharedMs = { tag: 2_000, list: 5_000 } as const;
/** And that there is none. */
const absentMs = 1_000;
/** How many questions strangers can cause: what a tag means has to be asked again and again, unlike where a blob is. */
const questionsPerSecond = 500;
const questionsAtOnce = 1_000;
/** And of those, how many that come to nothing. */
const vainPerSecond = 100;
const vainAtOnce = 500;
/** Larger ones do not fit into a packet. */
const maxInlineBytes = 8192;

/** An object, as far as a pointer says it. */
export interface PointedObject {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** All of it, if it is small. */
  readonly inline: Buffer | undefined;
  /** Where it is, if only this server has it. */
  readonly hint: Name | undefined;
}

/** What they are made of. */
export interface PointedObjectsOptions {
  readonly registry: Pick<ImageRegistry, "digestOf" | "manifest" | "tags" | "referrers">;
  readonly manifests: Manifests;
  readonly snapshots: Snapshots;
  readonly tagDigests: TagDigests;
  /** Undefined when the repositories are not listed. */
  readonly catalog: Catalog | undefined;
  /** `P/32=server/<id>`. */
  readonly ownName: Name;
}

/** Answers what a pointer has to say. */
export class PointedObjects {
  readonly #options: PointedObjectsOptions;
  readonly #tags = new RecentAnswers<PointedObject>(sharedMs.tag, absentMs);
  readonly #lists = new RecentAnswers<PointedObject>(sharedMs.list, absentMs);
  readonly #questions = new TokenBucket(questionsPerSecond, questionsAtOnce);
  readonly #vain = new TokenBucket(vainPerSecond, vainAtOnce);
  /** So that each manifest and each list of repositories has one object that stands for it. */
  readonly #ofManifest = new WeakMap<KeptManifest, Recent<PointedObject>>();
  readonly #ofCatalog = new WeakMap<Recent<readonly string[]>, Recent<PointedObject>>();

  constructor(options: PointedObjectsOptions) {
    this.#options = options;
  }

  /** Whether there may be pointers of this kind. */
  has(kind: PointerKind): boolean {
    return kind !== "catalog" || this.#options.catalog !== undefined;
  }

  /**
   * What to say, and as of when; the same object for all who share an answer.
   *
   * @returns without a value when the registry says that there is none, or that it is not for everyone.
   * @throws Error when that cannot be told now.
   */
  async find(target: PointerTarget): Promise<Recent<PointedObject>> {
    switch (target.kind) {
      case "tag": {
        const { repository, tag } = target;
        return this.#tags.ask(`${repository}:${tag}`, () => this.#withinBudget(() => this.#findTag(repository, tag)));
      }
      case "manifest":
        return this.#findManifest(target.repository, target.digest);
      case "tags":
        return this.#lists.ask(target.repository, () => this.#withinBudget(() => this.#findTags(target.repository)));
      case "referrers": {
        const { repository, digest } = target;
        const find = () => this.#findReferrers(repository, digest);
        return this.#lists.ask(`${repository}@${digest}`, () => this.#withinBudget(find));
      }
      case "catalog":
        return this.#findCatalog();
    }
  }

  async #findTag(repository: string, tag: string): Promise<PointedObject | undefined> {
    const asOfMs = Date.now();
    const found = await this.#manifestOf(repository, tag, asOfMs);
    if (found) this.#options.tagDigests.learn(repository, tag, found.digest, asOfMs);
    return found && describe(found.digest, found.mediaType, found.bytes, undefined);
  }

  /** What a tag means now, kept by its digest. */
  async #manifestOf(repository: string, tag: string, asOfMs: number): Promise<KeptManifest | undefined> {
    const { registry, manifests } = this.#options;
    const digest = await registry.digestOf(repository, tag);
    if (digest === undefined) return undefined;
    if (digest === "unsaid") {
      const sent = await registry.manifest(repository, tag);
      return sent && manifests.keep(repository, sent, asOfMs);
    }
    const found = await manifests.confirmed(repository, digest, asOfMs);
    if (found === undefined) throw new Error(`${repository}:${tag} is ${digest}, which is not there`);
    return found;
  }

  async #findManifest(repository: string, digest: Digest): Promise<Recent<PointedObject>> {
    const found = await this.#options.manifests.read(repository, digest);
    if (found === undefined) return { value: undefined, asOfMs: Date.now() };
    const value = describe(found.digest, found.mediaType, found.bytes, undefined);
    const recent = this.#ofManifest.get(found) ?? { value, asOfMs: found.asOfMs };
    this.#ofManifest.set(found, recent);
    return recent;
  }

  async #findTags(repository: string): Promise<PointedObject | undefined> {
    const tags = await this.#options.registry.tags(repository);
    if (tags === undefined) return undefined;
    const whole = encodeTagList(repository, await this.#options.tagDigests.describe(repository, tags));
    if (whole.length <= maxSnapshotBytes) return this.#snapshot("tags", whole);
    const names = tags.map((name) => ({ name }));
    return this.#snapshot("tags", encodeTagList(repository, names));
  }

  async #findReferrers(repository: string, digest: Digest): Promise<PointedObject | undefined> {
    const found = await this.#options.registry.referrers(repository, digest);
    return found && this.#snapshot("referrers", encodeReferrers(found));
  }

  async #findCatalog(): Promise<Recent<PointedObject>> {
    const listed = await this.#options.catalog!.ask();
    const known = this.#ofCatalog.get(listed);
    if (known && (known.value === undefined || this.#options.snapshots.renew(known.value.digest))) return known;
    const value = listed.value && this.#snapshot("catalog", encodeCatalog(listed.value));
    const recent = { value, asOfMs: listed.asOfMs };
    this.#ofCatalog.set(listed, recent);
    return recent;
  }

  #snapshot(kind: keyof typeof snapshotTypes, bytes: Buffer): PointedObject {
    const digest = this.#options.snapshots.keep(bytes);
    return describe(digest, snapshotTypes[kind], bytes, this.#options.ownName);
  }

  async #withinBudget<T>(find: () => Promise<T | undefined>): Promise<T | undefined> {
    if (!this.#questions.tryTake()) throw new Error("too much is asked for");
    if (!this.#vain.tryTake()) throw new Error("too much is asked for that is not there");
    const found = await find();
    if (found !== undefined) this.#vain.giveBack();
    return found;
  }
}

function describe(digest: Digest, mediaType: string, bytes: Buffer, hint: Name | undefined): PointedObject {
  const inline = bytes.length <= maxInlineBytes ? bytes : undefined;
  return { digest, mediaType, sizeBytes: bytes.length, inline, hint };
}
