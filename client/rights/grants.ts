/**
 * What was granted to whom, as far as it is remembered: no credential, repository or digest stays in memory or file,
 * only their HMACs.
 */
import { createHmac, createSecretKey, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import type { Digest } from "#oci/reference.ts";
import { openGrantJournal } from "./grant-journal.ts";

/** One puller and one thing in one repository. */
export interface GrantKey {
  /** 22 characters that stand for the puller. */
  readonly puller: string;
  /** 22 characters that stand for repository and digest. */
  readonly thing: string;
  /** Both. */
  readonly text: string;
}

/** A "yes" of the upstream. */
export interface Grant {
  readonly puller: string;
  readonly thing: string;
  readonly sizeBytes: number | undefined;
  /** Until then the upstream need not be asked again; in the past for what comes from the file. */
  readonly freshUntilMs: number;
}

/** Grants in memory, the oldest of them forgotten, and in a file if there is one. */
export interface Grants {
  keyOf(credential: string | undefined, repository: string, digest: Digest): GrantKey;
  /** The same thing for a puller without a credential. */
  withoutCredential(key: GrantKey): GrantKey;
  get(key: GrantKey): Grant | undefined;
  /** Whether some puller was granted the same thing. */
  isAnyones(key: GrantKey): boolean;
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
// 128 bits: with a secret key no one finds a second text for them.
const idBytes = 16;

/** Read what the file holds and go on from there; what is wrong with it is a warning. */
export function openGrants({ registryHost, file, log, maxRemembered: max = maxRemembered }: GrantsOptions): Grants {
  const journal = file === undefined ? undefined : openGrantJournal(file, log);
  // With a Buffer as the key an HMAC takes 12 µs, with a KeyObject 2.
  const secret = createSecretKey(journal?.secret ?? randomBytes(32));
  const idOf = (...texts: (string | null)[]) => {
    const hmac = createHmac("sha256", secret).update(JSON.stringify([registryHost, ...texts]));
    return hmac.digest().toString("base64url", 0, idBytes);
  };
  const noOne = idOf("puller", null);
  const joined = (puller: string, thing: string): GrantKey => ({ puller, thing, text: puller + thing });
  // How many grants there are of each puller, and of each thing.
  const [pullers, things] = [new Map<string, number>(), new Map<string, number>()];
  const grants = new LRUCache<string, Grant>({
    max,
    dispose: (grant, _text, reason) => {
      countDown(pullers, grant.puller);
      countDown(things, grant.thing);
      // Forgotten in the file as well: a refusal that comes later would not find it here to remove it.
      if (reason === "evict") journal?.append({ ...grant, isRemoved: true });
    },
  });
  const set = (grant: Grant) => {
    pullers.set(grant.puller, (pullers.get(grant.puller) ?? 0) + 1);
    things.set(grant.thing, (things.get(grant.thing) ?? 0) + 1);
    grants.set(grant.puller + grant.thing, grant);
  };

  for (const { isRemoved, ...grant } of journal?.read() ?? []) {
    if (isRemoved) grants.delete(grant.puller + grant.thing);
    else set({ ...grant, freshUntilMs: Number.NEGATIVE_INFINITY });
  }
  journal?.begin({
    get size() {
      return grants.size;
    },
    all: () => [...grants.rvalues()].filter((grant) => grant !== undefined),
  });

  return {
    keyOf: (credential, repository, digest) =>
      joined(credential === undefined ? noOne : idOf("puller", credential), idOf("place", repository, digest)),
    withoutCredential: ({ thing }) => joined(noOne, thing),
    get: ({ text }) => grants.get(text),
    isAnyones: ({ thing }) => things.has(thing),
    isKnown: (credential) => pullers.has(idOf("puller", credential ?? null)),
    add({ puller, thing, text }, sizeBytes, freshUntilMs) {
      const before = grants.get(text);
      const grant = { puller, thing, sizeBytes: sizeBytes ?? before?.sizeBytes, freshUntilMs };
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

function countDown(counts: Map<string, number>, id: string): void {
  const left = (counts.get(id) ?? 0) - 1;
  if (left > 0) counts.set(id, left);
  else counts.delete(id);
}
