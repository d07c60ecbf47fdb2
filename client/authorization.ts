/**
 * A puller sees only what it may: the upstream is asked before a byte from elsewhere is released. Knowing a digest is
 * not a right.
 */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { BlobRef } from "#blob/source.ts";
import { type RegistryClient, RegistryUnreachable } from "#oci/registry-client.ts";

/** What the upstream says about one puller and one blob. */
export type Right =
  | { readonly kind: "granted" /** As the upstream says it, if it does. */; readonly sizeBytes: number | undefined }
  | { readonly kind: "refused"; readonly status: number };

/** The question, with the answer "yes" remembered for 5 minutes per credential, repository and digest. */
export interface Authorization {
  /**
   * @param credential - The puller's Authorization header.
   * @throws RegistryUnreachable when there is no answer.
   */
  ask(credential: string | undefined, blob: BlobRef): Promise<Right>;
}

const maxRemembered = 10_000;
const rememberedMs = 5 * 60_000;
const timeoutMs = 30_000;

/** @param options - `now` (milliseconds, never 0) is for tests. */
export function createAuthorization(
  registry: Pick<RegistryClient, "headBlob">,
  options: { now?: () => number } = {},
): Authorization {
  const granted = new LRUCache<string, Right>({
    max: maxRemembered,
    ttl: rememberedMs,
    ttlResolution: 0,
    ...(options.now && { perf: { now: options.now } }),
  });
  const asking = new Map<string, Promise<Right>>();

  const askOnce = async (key: string, credential: string | undefined, blob: BlobRef): Promise<Right> => {
    try {
      const right = await head(registry, credential, blob);
      if (right.kind === "granted") granted.set(key, right);
      return right;
    } finally {
      asking.delete(key);
    }
  };

  return {
    async ask(credential, blob) {
      const key = keyOf(credential, blob);
      const known = granted.get(key) ?? asking.get(key);
      if (known) return known;
      const answer = askOnce(key, credential, blob);
      asking.set(key, answer);
      return answer;
    },
  };
}

// A hash, so that no credential stays in memory.
function keyOf(credential: string | undefined, { repository, digest }: BlobRef): string {
  return createHash("sha256")
    .update(JSON.stringify([credential ?? null, repository, digest]))
    .digest("base64");
}

// The question outlives the puller that asked first: others may be waiting for the same answer.
async function head(
  registry: Pick<RegistryClient, "headBlob">,
  value: string | undefined,
  { repository, digest }: BlobRef,
): Promise<Right> {
  const ask = async () => {
    const signal = AbortSignal.timeout(timeoutMs);
    const { status, headers } = await registry.headBlob(repository, digest, {
      auth: { kind: "header", value },
      signal,
    });
    if (status < 200 || status >= 400) return { kind: "refused", status } as const;
    return { kind: "granted", sizeBytes: parseLength(headers["content-length"]) } as const;
  };
  try {
    return await ask().catch(() => ask()); // a connection that was kept alive may have died unseen: once more
  } catch (err: unknown) {
    if (err instanceof RegistryUnreachable) throw err;
    throw new RegistryUnreachable(`HEAD of ${digest} brought no answer in ${timeoutMs} ms`, { cause: err });
  }
}

function parseLength(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
