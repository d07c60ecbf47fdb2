/**
 * Keeps the manifest cache in the cache directory, so that a restart forgets nothing: as the `index.json` of an OCI image
 * layout (OCI image-spec, image-layout.md). The newest meaning of a tag is there for every tool under
 * `<registry>/<repository>:<tag>`, the rest in annotations of our own.
 */
import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { z } from "zod";
import { writeFileAtomic } from "#base/atomic-file.ts";
import { bareType } from "#oci/media-type.ts";
import { parseSha256 } from "#oci/reference.ts";
import type { CachedManifest, ManifestCache, PingAnswer, TaggedDigest } from "./manifest-cache.ts";
import { digestName, parseName, tagName } from "./manifest-names.ts";

export interface IndexFileOptions {
  /** The cache directory; it is there. No one else writes its `index.json` while it is open. */
  readonly directory: string;
  readonly cache: ManifestCache;
  readonly log: Pick<Logger, "warn">;
  /** Least time between two writings. @defaultValue 1000 */
  readonly intervalMs?: number | undefined;
}

/** What belongs together mostly comes together. */
const gatherMs = 50;
/** A large index is written less often: this share of the time at most goes into it. */
const maxShare = 1 / 50;

/** A disk that is full is not soon less so. */
const retryMs = 30_000;

/** Fill the manifest cache from the file and write its changes down from now on; a damaged file is moved aside. Never throws. */
export async function openIndexFile(options: IndexFileOptions): Promise<IndexFile> {
  await load(options);
  return new IndexFile(options);
}

/** The file that follows the manifest cache. */
export class IndexFile {
  readonly #options: IndexFileOptions;
  #isChanged = false;
  #isClosed = false;
  #isFailing = false;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  /** On the clock of `performance.now()`. */
  #nextMs = 0;

  constructor(options: IndexFileOptions) {
    this.#options = options;
    options.cache.listeners.add(this.#onChange);
  }

  /** Write what is not written yet, and follow the manifest cache no longer. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#options.cache.listeners.delete(this.#onChange);
    clearTimeout(this.#timer);
    await this.#writing;
    if (this.#isChanged) await this.#write();
  }

  readonly #onChange = (): void => {
    this.#isChanged = true;
    this.#schedule();
  };

  #schedule(): void {
    if (this.#timer || this.#writing || this.#isClosed) return;
    const delayMs = Math.max(gatherMs, this.#nextMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
        if (this.#isChanged) this.#schedule();
      });
    }, delayMs).unref();
  }

  async #write(): Promise<void> {
    const { directory, cache, log, intervalMs = 1000 } = this.#options;
    const path = join(directory, fileName);
    const startedMs = performance.now();
    this.#isChanged = false;
    try {
      await writeFileAtomic(path, formatIndex(cache), 0o600, `${path}.new`);
      this.#isFailing = false;
    } catch (err: unknown) {
      if (!this.#isFailing) log.warn({ err, path }, "tags cannot be written down: a restart will forget them");
      this.#isFailing = true;
      this.#isChanged = true;
    }
    const tookMs = performance.now() - startedMs;
    this.#nextMs = startedMs + Math.max(this.#isFailing ? retryMs : intervalMs, tookMs / maxShare);
  }
}

const fileName = "index.json";

async function load({ directory, cache, log }: IndexFileOptions): Promise<void> {
  const path = join(directory, fileName);
  try {
    restoreIndex(await readFile(path, "utf8"), cache);
  } catch (err: unknown) {
    const { code } = err as NodeJS.ErrnoException;
    if (code === "ENOENT") return;
    if (code !== undefined) return log.warn({ err, path }, "tags cannot be read: none are remembered");
    log.warn({ err, path, movedTo: `${path}.damaged` }, "the index of the cache is damaged: no tags are remembered");
    await rename(path, `${path}.damaged`).catch((err: unknown) =>
      log.warn({ err, path }, "and it cannot be moved aside"),
    );
  }
}

const refName = "org.opencontainers.image.ref.name";
/** What the descriptor stands for, where it is not the newest meaning of a tag. */
const reference = "ndn-registry.reference";
const seen = "ndn-registry.seen";
const etag = "ndn-registry.etag";
/** Where it has parameters, which a media type in a descriptor has not. */
const contentType = "ndn-registry.content-type";
/** Of the whole index, how a registry answered a ping: followed by the registry; the value is status and challenges as JSON. */
const pingPrefix = "ndn-registry.greeting/";

const annotations = z.record(z.string(), z.string());
const indexSchema = z.object({
  schemaVersion: z.literal(2),
  manifests: z.array(z.unknown()),
  annotations: annotations.optional(),
});
const descriptorSchema = z.object({
  mediaType: z.string().min(1),
  digest: z.string().transform((text, context) => parseSha256(text) ?? context.addIssue("no sha256 digest") ?? z.NEVER),
  size: z.int().nonnegative(),
  annotations,
});
const pingSchema = z.tuple([z.union([z.literal(200), z.literal(401)]), z.array(z.string())]);

type Descriptor = z.infer<typeof descriptorSchema>;

/** The text of `index.json`; what is not cached is left out, and the least recently used beyond `cache.maxEntries`. */
function formatIndex(cache: ManifestCache): string {
  const cached = new Map(cache.manifests().map((one) => [digestName(one.key, one.digest), one]));
  const isTagged = new Set<string>();
  const tagged = cache.tags().flatMap(({ key, tag, tagged: meanings }) => {
    const unread = meanings.findIndex(({ digest }) => !cached.has(digestName(key, digest)));
    // What a tag meant before it was seen to mean something else, which was not read, must not come back with a restart.
    const known = meanings.slice(0, unread < 0 ? undefined : unread).map(({ digest, seenMs }) => {
      const name = digestName(key, digest);
      isTagged.add(name);
      return { manifest: cached.get(name)!, seenMs };
    });
    const name = tagName(key, tag);
    return known.map(({ manifest, seenMs }, at) => describe(manifest, seenMs, at === 0 ? refName : reference, name));
  });
  const untagged = [...cached].flatMap(([name, manifest]) =>
    isTagged.has(name) ? [] : [describe(manifest, manifest.seenMs, reference, name)],
  );
  const pings = [...cache.pings()].map(([registry, { status, challenges }]) => [
    pingPrefix + registry,
    JSON.stringify([status, challenges]),
  ]);
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [...tagged, ...untagged].slice(0, cache.maxEntries),
    ...(pings.length > 0 && { annotations: Object.fromEntries(pings) as Record<string, string> }),
  });
}

/**
 * Put into the cache what `formatIndex` wrote; descriptors of other tools are passed over.
 *
 * @throws Error when it is no index.
 */
function restoreIndex(text: string, cache: ManifestCache): void {
  const index = indexSchema.parse(JSON.parse(text));
  for (const [key, value] of Object.entries(index.annotations ?? {})) putPing(cache, key, value);
  const tags = new Map<string, TaggedDigest[]>();
  // Backwards, because what is put last counts as used last.
  for (const item of index.manifests.toReversed()) {
    const { success, data } = descriptorSchema.safeParse(item);
    const name = success ? (data.annotations[refName] ?? data.annotations[reference]) : undefined;
    const named = name === undefined ? undefined : parseName(name);
    if (!data || !name || !named) continue;
    const manifest = remembered(data);
    cache.putManifest(named.key, manifest);
    if (named.tag !== undefined) tags.set(name, [manifest, ...(tags.get(name) ?? [])]);
  }
  for (const [name, tagged] of tags) putTag(cache, name, tagged);
}

function describe(manifest: CachedManifest, seenMs: number, key: string, name: string): Descriptor {
  const mediaType = bareType(manifest.contentType);
  return {
    mediaType,
    digest: manifest.digest,
    size: manifest.sizeBytes,
    annotations: {
      [key]: name,
      [seen]: new Date(seenMs).toISOString(),
      ...(manifest.etag !== undefined && { [etag]: manifest.etag }),
      ...(manifest.contentType !== mediaType && { [contentType]: manifest.contentType }),
    },
  };
}

function remembered({ mediaType, digest, size, annotations: notes }: Descriptor): CachedManifest {
  const seenMs = Date.parse(notes[seen] ?? "");
  return {
    digest,
    contentType: notes[contentType] ?? mediaType,
    sizeBytes: size,
    etag: notes[etag],
    seenMs: Number.isNaN(seenMs) ? 0 : seenMs,
  };
}

function putTag(cache: ManifestCache, name: string, tagged: readonly TaggedDigest[]): void {
  const { key, tag } = parseName(name)!;
  const bare = tagged.map(({ digest, seenMs }) => ({ digest, seenMs }));
  if (tag !== undefined) cache.putTag(key, tag, bare);
}

function putPing(cache: ManifestCache, key: string, value: string): void {
  if (!key.startsWith(pingPrefix)) return;
  const [status, challenges] = pingSchema.parse(JSON.parse(value));
  cache.putPing(key.slice(pingPrefix.length), { status, challenges } satisfies PingAnswer);
}
