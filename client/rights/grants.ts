/**
 * What was granted to whom, as far as it is remembered: no credential, repository or digest stays in memory or file,
 * only their HMACs.
 */
import { createHmac, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import type { Digest } from "#oci/digest.ts";
import { openGrantJournal } from "./grant-journal.ts";

/** One puller and one thing in one repository. */
export interface GrantKey {
  /** 22 characters that stand for the puller. */
  readonly puller: string;
  /** 22 characters that stand for repository and digest. */
  readonly place: string;
  /** Both. */
  readonly text: string;
}

/** A "yes" of the upstream. */
export interface Grant {
  readonly puller: string;
  readonly place: string;
  readonly sizeBytes: number | undefined;
  /** Until then the upstream need not be asked again; in the past for what comes from the file. */
  readonly freshUntilMs: number;
}

/** Grants in memory, the oldest of them forgotten, and in a file if there is one. */
export interface Grants {
  keyOf(credential: string | undefined, repository: string, digest: Digest): GrantKey;
  get(key: GrantKey): Grant | undefined;
  /** Whether some puller was granted the same thing. */
  isAnybodys(key: GrantKey): boolean;
  isKnown(credential: string | undefined): boolean;
  add(key: GrantKey, sizeBytes: number | undefined, freshUntilMs: number): void;
  remove(key: GrantKey): void;
  close(): Promise<void>;
}

/** Where grants are kept. */
export interface GrantsOptions {
  registryHost: string;
  file?: string | undefined;
  log?: Pick<Logger, "warn"> | undefined;
  maxRemembered?: number | undefined;
}

const maxRemembered = 100_000;
// 128 bits: with a secret key nobody finds a second text for them.
const idBytes = 16;

/** Read what the file holds and go on from there; what is wrong with it is a warning. */
export function openGrants({ registryHost, file, log, maxRemembered: max = maxRemembered }: GrantsOptions): Grants {
  const journal = file === undefined ? undefined : openGrantJournal(file, log);
  const secret = journal?.secret ?? randomBytes(32);
  const idOf = (...texts: (string | null)[]) => {
    const hmac = createHmac("sha256", secret).update(JSON.stringify([registryHost, ...texts]));
    return hmac.digest().toString("base64url", 0, idBytes);
  };
  const pullerOf = (credential: string | undefined) => idOf("puller", credential ?? null);
  const [pullers, places] = [new Tally(), new Tally()];
  const grants = new LRUCache<string, Grant>({
    max,
    dispose: (grant, _text, reason) => {
      pullers.remove(grant.puller);
      places.remove(grant.place);
      // Forgotten in the file as well: a refusal that comes later would not find it here to remove it.
      if (reason === "evict") journal?.append({ ...grant, isRemoved: true });
    },
  });
  const set = (grant: Grant) => {
    pullers.add(grant.puller);
    places.add(grant.place);
    grants.set(grant.puller + grant.place, grant);
  };

  for (const { isRemoved, ...grant } of journal?.read() ?? []) {
    if (isRemoved) grants.delete(grant.puller + grant.place);
    else set({ ...grant, freshUntilMs: Number.NEGATIVE_INFINITY });
  }
  journal?.begin({
    get size() {
      return grants.size;
    },
    all: () => [...grants.rvalues()].filter((grant) => grant !== undefined),
  });

  return {
    keyOf(credential, repository, digest) {
      const [puller, place] = [pullerOf(credential), idOf("place", repository, digest)];
      return { puller, place, text: puller + place };
    },
    get: ({ text }) => grants.get(text),
    isAnybodys: ({ place }) => places.has(place),
    isKnown: (credential) => pullers.has(pullerOf(credential)),
    add({ puller, place, text }, sizeBytes, freshUntilMs) {
      const before = grants.get(text);
      const grant = { puller, place, sizeBytes: sizeBytes ?? before?.sizeBytes, freshUntilMs };
      set(grant);
      // In the file it only matters that it was granted, not how often.
      if (!before || before.sizeBytes !== grant.sizeBytes) journal?.append({ ...grant, isRemoved: false });
    },
    remove(key) {
      const grant = grants.get(key.text);
      if (grant && grants.delete(key.text)) journal?.append({ ...grant, isRemoved: true });
    },
    close: async () => journal?.close(),
  };
}

/** How often each id occurs. */
class Tally {
  readonly #counts = new Map<string, number>();

  has(id: string): boolean {
    return this.#counts.has(id);
  }

  add(id: string): void {
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
  }

  remove(id: string): void {
    const left = (this.#counts.get(id) ?? 0) - 1;
    if (left > 0) this.#counts.set(id, left);
    else this.#counts.delete(id);
  }
}
