/**
 * Reading the registry's disk must not give away more than the registry does: unless the operator has listed a
 * repository, the registry has to give a blob to an anonymous puller before it is read from `--storage`.
 */
import { LRUCache } from "lru-cache";
import type { BlobRef } from "#blob/source.ts";
import { BlobProbe, type ProbedRegistry } from "#oci/blob-probe.ts";
import { type RangeRead, type RangeReader, revalidateAfterMs } from "#publish/range-reader.ts";
import type { PublishPolicy } from "./publish-policy.ts";

const maxRemembered = 10_000;

/** A reader of storage behind the registry's own answer. */
export class PublicCheck implements RangeReader {
  readonly #storage: RangeReader;
  readonly #probe: BlobProbe;
  readonly #policy: PublishPolicy;
  readonly #allowed = new LRUCache<string, true>({ max: maxRemembered, ttl: revalidateAfterMs });

  constructor(storage: RangeReader, registry: ProbedRegistry, policy: PublishPolicy) {
    this.#storage = storage;
    this.#probe = new BlobProbe(registry);
    this.#policy = policy;
  }

  async read(blob: BlobRef, start: number, end: number, signal: AbortSignal): Promise<RangeRead | undefined> {
    if (!this.#policy.isListed(blob.repository) && !(await this.#isPublic(blob, signal))) return undefined;
    return this.#storage.read(blob, start, end, signal);
  }

  async #isPublic({ repository, digest }: BlobRef, signal: AbortSignal): Promise<boolean> {
    const key = `${repository}@${digest}`;
    if (this.#allowed.has(key)) return true;
    const { status } = await this.#probe.ask(repository, digest, { auth: { kind: "anonymous" }, signal });
    if (status >= 500 || status === 429) throw new Error(`registry answered ${status} when asked for ${digest}`);
    if (status !== 200) return false;
    this.#allowed.set(key, true);
    return true;
  }
}
