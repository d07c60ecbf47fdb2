/**
 * The client program, put together: from what it is made of to the handlers of each registry and the listening socket.
 */
import { join } from "node:path";
import { Semaphore } from "#base/limits.ts";
import { WindowBudget } from "#fetch/broadcast-window.ts";
import { SharedFetches } from "#fetch/shared-fetches.ts";
import { noStore } from "#store/store-port.ts";
import { ImageAdder } from "./add-image.ts";
import type { AddRequest } from "./http/admin-images.ts";
import { openHttpServer } from "./http-server.ts";
import { CachedImages } from "./manifests/cached-images.ts";
import { memoryContents, storedContents } from "./manifests/contents.ts";
import { openIndexFile } from "./manifests/index-file.ts";
import { ManifestCache } from "./manifests/manifest-cache.ts";
import type { ClientParts } from "./parts.ts";
import { PointerMemory } from "./pointers/pointer-memory.ts";
import { type Serve, ServedRegistries } from "./served-registries.ts";
import { logPull } from "./status/image-lines.ts";
import { PullLog } from "./status/pull-log.ts";
import { PushLog } from "./status/push-log.ts";

/** An open client. */
export interface Client {
  /** Where pullers reach it: the first of `urls`. */
  readonly url: string;
  /** All addresses, see `Listening`. */
  readonly urls: readonly string[];
  /**
   * Read configuration, anchors, certificate and logins again, and use what has changed for new requests. What cannot be
   * used is a line in the log, and what was there before stays in use. Never rejects.
   */
  reload(): Promise<void>;
  /** Take no new requests, let running ones end for `graceMs`, then break them off. */
  close(graceMs: number): Promise<void>;
}

/** Upstream GETs at a time that are made only because NDN is late. */
const maxHedges = 8;

/** Blobs that are read in ranges and not cached: 16 MiB of each in memory, 64 MiB in all. */
const inMemory = () => ({ windows: new WindowBudget(16 * 1024 * 1024, 4), slowReaderBudgetMs: 60_000 });

/** Make the handlers of each registry and the server in front of them, and listen. @throws ListenFailed */
export async function openClient(parts: ClientParts): Promise<Client> {
  const { store, log, metrics } = parts;
  const pulls = new PullLog({
    begun: metrics.pulls,
    onEnd(pull) {
      logPull(log, pull);
      if (pull.outcome === "failed" || pull.whyNotNdn !== null) parts.status?.health?.look();
    },
  });
  const pushes = new PushLog(log);
  const contents = store ? storedContents(store, log) : memoryContents();
  const cache = new ManifestCache({ contents });
  const index = store && (await openIndexFile({ directory: store.directory, cache, log }));
  const fetches = store
    ? new SharedFetches(store, log, metrics.fetchesInFlight)
    : new SharedFetches(noStore, log, undefined, inMemory());
  const hedges = new Semaphore(maxHedges);
  const closing = new AsyncDisposableStack();
  closing.defer(async () => index?.close());
  closing.defer(async () => {
    pulls.close();
    pushes.close();
  });

  let opened: PointerMemory | undefined;
  const pointerMemory = () => (opened ??= PointerMemory.open(store && join(store.directory, "pointers.sqlite"), log));
  closing.defer(async () => opened?.close());
  const served = new ServedRegistries({ parts, pulls, pushes, contents, cache, fetches, hedges, pointerMemory });
  await served.replace(parts.mirrors, parts.defaultRegistry);
  closing.defer(() => served.close());
  closing.defer(async () => fetches?.close());

  const images = store && imageAdmin({ store, cache, served, log });
  closing.defer(async () => images?.close());
  const http = await openHttpServer(parts, served, { pulls, images }, () => closing.disposeAsync());
  const serve: Serve = (mirrors, defaultRegistry) => served.replace(mirrors, defaultRegistry);
  const running = await parts.onOpen?.({ server: http.server, urls: http.urls, serve });
  let reloading: Promise<void> = Promise.resolve();
  return {
    url: http.urls[0]!,
    urls: http.urls,
    reload() {
      reloading = reloading.then(() => running?.reload()); // one after another
      return reloading;
    },
    async close(graceMs) {
      await reloading;
      await http.close(graceMs);
      await running?.close();
    },
  };
}

/** What this machine's programs may do with the cache by image. */
function imageAdmin({ store, cache, served, log }: ImageAdminParts) {
  const images = new CachedImages(cache, store, log);
  const adder = new ImageAdder({ served, store, log });
  return {
    list: () => images.list(),
    remove: (text: string) => images.remove(text),
    pin: (text: string) => images.pin(text),
    unpin: (text: string) => images.unpin(text),
    add: (request: AddRequest, signal: AbortSignal) => adder.add(request, signal),
    async close() {
      await adder.close();
      await images.close();
    },
  };
}

interface ImageAdminParts extends Pick<ClientParts, "log"> {
  readonly store: NonNullable<ClientParts["store"]>;
  readonly cache: ManifestCache;
  readonly served: ServedRegistries;
}
