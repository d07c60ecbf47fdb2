/**
 * Where a blob can come from for one puller: NDN first, then the upstream from the byte where NDN stopped.
 */
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import { following } from "#base/abort.ts";
import { type Bandwidth, limited } from "#blob/bandwidth.ts";
import { type HedgeOptions, hedgeFor } from "#blob/hedge.ts";
import type { SegmentRepair } from "#blob/ndn-source.ts";
import { type BlobRef, type BlobSource, BlobUnavailable, withOpen } from "#blob/source.ts";
import type { LengthHelp } from "#blob/unknown-length.ts";
import { upstreamSource } from "#blob/upstream-source.ts";
import { isEncoded } from "#oci/body-headers.ts";
import type { Digest } from "#oci/reference.ts";
import type { NdnBlobs, NdnPath, NdnPaths } from "#uplinks/uplink-blobs.ts";
import type { Authorize } from "../registries/client-config.ts";
import type { Puller } from "../registries/router.ts";
import { type Rights, RightUnanswered } from "../rights/rights.ts";
import type { ClientMetrics } from "../status/metrics.ts";
import type { BlobReads } from "../upstream/no-upstream.ts";
import { insistently } from "./ndn-alone.ts";

const repairTimeoutMs = 10_000;
const maxDenied = 10_000;
const hourMs = 3_600_000;

/** What the sources of one registry's blobs are made of. */
export interface SourceParts {
  readonly registry: Pick<BlobReads, "base" | "getBlob">;
  readonly ndn: NdnBlobs | undefined;
  /** Whether the upstream is asked if the puller may have what comes over NDN. */
  readonly authorize: Authorize;
  readonly rights: Pick<Rights, "ask">;
  /** When the upstream is asked as well because NDN is late, and how many may be at a time. */
  readonly hedge: Pick<HedgeOptions, "delay" | "limit">;
  readonly bandwidth: { readonly upstream: Bandwidth | undefined; readonly ndn: Bandwidth | undefined };
  readonly stallTimeoutMs: number | undefined;
  /** Sizes that manifests say. */
  readonly sizes: { of(blob: BlobRef): number | undefined };
  /** Where a blob of unknown length is counted; undefined when nothing is cached. */
  readonly spool: LengthHelp["spool"];
  readonly metrics: Pick<ClientMetrics, "hedges" | "repairedBytes">;
  readonly log: Pick<Logger, "debug">;
}

/** The sources of one registry's blobs; lives as long as the endpoint. */
export class BlobSources {
  readonly #parts: SourceParts;
  /** Digests that are not asked for over NDN for an hour; the oldest go when it is full. */
  readonly #denylist = new LRUCache<Digest, true>({ max: maxDenied, ttl: hourMs });

  constructor(parts: SourceParts) {
    this.#parts = parts;
  }

  /**
   * The sources of one blob, in the order in which they are to be asked, read with this puller's rights.
   *
   * @param isWaitedFor - Whether the puller waits for it: then the upstream, when no other source is left, is given as
   * much time as the puller has.
   */
  for(puller: Puller, blob: BlobRef, isWaitedFor = true): readonly BlobSource[] {
    const { registry, ndn, authorize, rights, bandwidth, hedge, stallTimeoutMs, sizes, spool, metrics, log } =
      this.#parts;
    const { digest } = blob;
    const left = new PathsLeft();
    const isLast = () => isWaitedFor && left.isEmpty;
    const { auth } = puller;
    const length = { sizeOf: (one: BlobRef) => this.#sizeOf(puller, one), spool };
    const unlimited = upstreamSource({ registry, auth, stallTimeoutMs, isLast, length });
    const upstream = bandwidth.upstream ? limited(unlimited, bandwidth.upstream) : unlimited;
    if (!registry.base) return insistently(this.#pathsAlone(blob));
    // Twice: a registry that has broken off and knows no ranges is asked once more, from the start and with proof.
    const always = [upstream, upstream];
    if (!ndn || this.#denylist.has(digest)) return always;
    const { first, lastResort } = left.of(ndn.paths((...segment) => repairedSegment(this.#parts, puller, ...segment)));
    const permitted = (path: BlobSource) => {
      const paced = bandwidth.ndn ? limited(path, bandwidth.ndn) : path;
      return authorize === "none" ? paced : authorizedSource(paced, rights, puller, blob);
    };
    // The right is asked for while the turn is waited for.
    const prepare = async () => (authorize === "upstream" ? this.#grantedSize(puller, blob) : undefined);
    // Outside of the hedge: those who wait for their turn are not late.
    const inTurn = (path: NdnPath, source: BlobSource) =>
      path.inTurn?.(source, { sizeBytes: sizes.of(blob), prepare }) ?? source;
    const hedged = hedgeFor({
      ...hedge,
      upstream,
      isBusy: () => ndn.isBusy?.() ?? false,
      needsRight: authorize === "upstream",
      events: {
        started(waitedMs) {
          log.debug({ digest, waitedMs: Math.round(waitedMs) }, "NDN is late, the upstream is asked as well");
        },
        lost: (source) => metrics.hedges.inc({ won: source === "ndn" ? "upstream" : "ndn" }),
      },
    });
    // Once more after the last resort: an upstream that was given up as too slow is the one that is left.
    const atLast = lastResort ? [inTurn(lastResort, permitted(lastResort)), upstream] : [];
    return [...first.map((path) => inTurn(path, hedged(permitted(path)))), ...always, ...atLast];
  }

  /** All paths over NDN, where there is nothing else: neither rights nor hedges, and no digest is left alone. */
  #pathsAlone(blob: BlobRef): readonly BlobSource[] {
    const { ndn, bandwidth, sizes } = this.#parts;
    const { first, lastResort } = ndn?.paths(undefined, true) ?? { first: [], lastResort: undefined };
    return [...first, ...(lastResort ? [lastResort] : [])].map((path) => {
      const paced = bandwidth.ndn ? limited(path, bandwidth.ndn) : path;
      return path.inTurn?.(paced, { sizeBytes: sizes.of(blob), prepare: () => Promise.resolve(undefined) }) ?? paced;
    });
  }

  /** Why NDN is not asked for this blob now, in words; undefined when it is. */
  whyNoNdn(digest: Digest | undefined): string | undefined {
    const { ndn } = this.#parts;
    if (!ndn) return "no NDN name is configured for this registry";
    if (digest === undefined) return "blobs are on NDN by their sha256 only";
    if (this.#denylist.has(digest)) return "its bytes on NDN were wrong within the last hour, or it was deleted";
    return ndn.trouble?.();
  }

  /** For an upstream that does not say it with the blob: as a manifest says it, or its answer about the puller's right. */
  async #sizeOf(puller: Puller, blob: BlobRef): Promise<number | undefined> {
    return this.#parts.sizes.of(blob) ?? (await this.#grantedSize(puller, blob));
  }

  /** As the upstream says it to this puller. */
  async #grantedSize(puller: Puller, blob: BlobRef): Promise<number | undefined> {
    const right = await this.#parts.rights.ask(puller, blob).catch(() => undefined);
    return right?.kind === "granted" ? right.sizeBytes : undefined;
  }

  /** The best path over NDN, unless all are down or the digest is denied. */
  ndnAlone(digest: Digest): BlobSource | undefined {
    if (this.#denylist.has(digest)) return undefined;
    const { first, lastResort } = this.#parts.ndn?.paths(undefined, !this.#parts.registry.base) ?? { first: [] };
    return first[0] ?? lastResort;
  }

  /** For an hour the blob is not asked for over NDN: its bytes there are wrong, or it is deleted. */
  denyNdn(digest: Digest): void {
    if (this.#parts.registry.base) this.#denylist.set(digest, true); // else there is nowhere else to go
  }
}

/** Which paths over NDN could still serve one read: those not asked yet, and the last resort if one has ever answered. */
class PathsLeft {
  readonly #unasked = new Set<BlobSource>();
  #lastResort: BlobSource | undefined;
  #hasAnswered = false;

  get isEmpty(): boolean {
    return this.#unasked.size === 0 && !(this.#lastResort && this.#hasAnswered);
  }

  /** The same paths, watched. */
  of({ first, lastResort }: NdnPaths): NdnPaths {
    const watched = (path: NdnPath): NdnPath => {
      const open: BlobSource["open"] = async (blob, from, signal) => {
        this.#unasked.delete(path);
        if (path === this.#lastResort) this.#lastResort = undefined;
        const read = await path.open(blob, from, signal);
        this.#hasAnswered = true;
        return read;
      };
      return { ...path, ...withOpen(path, open) };
    };
    for (const path of first) this.#unasked.add(path);
    this.#lastResort = lastResort;
    return { first: first.map(watched), lastResort: lastResort && watched(lastResort) };
  }
}

/** A segment that no one on NDN has right comes from the upstream; it is compared like any other. */
async function repairedSegment(
  { registry, metrics }: Pick<SourceParts, "registry" | "metrics">,
  { auth }: Puller,
  ...[{ repository, digest }, start, end, signal]: Parameters<SegmentRepair>
): ReturnType<SegmentRepair> {
  const both = AbortSignal.any([signal, AbortSignal.timeout(repairTimeoutMs)]);
  const range = { start, end };
  const { status, headers, body } = await registry.getBlob(repository, digest, { auth, range, signal: both });
  if (status !== 206 || isEncoded(headers)) {
    body.destroy();
    return undefined;
  }
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    pieces.push(piece);
    size += piece.length;
    if (size > end - start) break; // more than was asked for
  }
  metrics.repairedBytes.inc(size);
  return Buffer.concat(pieces);
}

/**
 * `inner` for a puller that the upstream has to let in: both are asked at once, and nothing comes out before the right
 * is granted, nor when the size is not the one that the upstream says. Refused, it is unavailable: the next source is
 * the upstream itself, which gives its own answer.
 */
function authorizedSource(inner: BlobSource, rights: Pick<Rights, "ask">, puller: Puller, wanted: BlobRef): BlobSource {
  return withOpen(inner, async (blob, from, signal) => {
    const refused = following(signal);
    try {
      const [sizeBytes, read] = await Promise.all([
        grantedSize(rights, puller, wanted),
        inner.open(blob, from, refused.signal),
      ]);
      if (sizeBytes === undefined || read.sizeBytes === sizeBytes) return read;
      throw new BlobUnavailable(`${inner.name} has ${read.sizeBytes} bytes, upstream ${sizeBytes}`);
    } catch (err: unknown) {
      refused.abort(err);
      throw err;
    }
  });
}

/** As the upstream says it, if it does. @throws BlobUnavailable when the puller may not have the blob */
async function grantedSize(rights: Pick<Rights, "ask">, puller: Puller, wanted: BlobRef): Promise<number | undefined> {
  const right = await rights.ask(puller, wanted).catch((err: unknown) => {
    throw err instanceof RightUnanswered ? new BlobUnavailable(err.message, { cause: err }) : err;
  });
  if (right.kind === "granted") return right.sizeBytes;
  throw new BlobUnavailable(`upstream answers ${right.status} to the puller`);
}
