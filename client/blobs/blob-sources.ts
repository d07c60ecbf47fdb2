/**
 * Where a blob can come from for one puller: NDN first, then the upstream from the byte where NDN stopped.
 */
import { limited } from "#blob/bandwidth.ts";
import { hedgeFor } from "#blob/hedge.ts";
import type { SegmentRepair } from "#blob/ndn-source.ts";
import { type BlobRef, type BlobSource, BlobUnavailable, withOpen } from "#blob/source.ts";
import { upstreamSource } from "#blob/upstream-source.ts";
import type { Digest } from "#oci/digest.ts";
import type { Puller } from "../registries/request-context.ts";
import type { Rights } from "../rights/rights.ts";
import type { BlobServices } from "./blob-request.ts";

const repairTimeoutMs = 10_000;

/** The sources, in the order in which they are to be asked, read with this puller's rights. */
export function sourcesFor(
  services: BlobServices,
  puller: Puller,
  repository: string,
  digest: Digest,
): readonly BlobSource[] {
  const { registry, ndn, authorize, bandwidth, hedge, stallTimeoutMs, metrics, log } = services;
  const upstream = limited(upstreamSource({ registry, auth: puller.auth, stallTimeoutMs }), bandwidth.upstream);
  // Twice: a registry that has broken off and knows no ranges is asked once more, from the start and with proof.
  const always = [upstream, upstream];
  if (!ndn || services.denylist.has(digest)) return always;
  const { first, lastResort } = ndn.paths((...segment) => repairedSegment(services, puller, ...segment));
  const permitted = (path: BlobSource) => {
    const paced = limited(path, bandwidth.ndn);
    return authorize === "none" ? paced : authorizedSource(paced, services.rights, puller, { repository, digest });
  };
  const hedged = hedgeFor({
    ...hedge,
    upstream,
    needsRight: authorize === "upstream",
    events: {
      started(waitedMs) {
        log.debug({ digest, waitedMs: Math.round(waitedMs) }, "NDN is late, the upstream is asked as well");
      },
      lost: (source) => metrics.hedges.inc({ won: source === "ndn" ? "upstream" : "ndn" }),
    },
  });
  return [...first.map(permitted).map(hedged), ...always, ...(lastResort ? [permitted(lastResort)] : [])];
}

/**
 * Whether what is there of a blob may be used for any puller of this registry, as far as `authorize: none` decides it:
 * the store may have it because of another registry, and then only if this one is known to have served it too. With
 * `authorize: upstream` it may, and the puller's right is asked beside.
 */
export function mayUseCached(
  { authorize, rights, fetcher }: Pick<BlobServices, "authorize" | "rights" | "fetcher">,
  repository: string,
  digest: Digest,
): boolean {
  return authorize === "upstream" || !fetcher.areOthers || rights.hasServed(repository, digest);
}

/** The best path over NDN, unless all are down or one has sent wrong bytes for this digest. */
export function trustedNdn(
  { ndn, denylist }: Pick<BlobServices, "ndn" | "denylist">,
  digest: Digest,
): BlobSource | undefined {
  return denylist.has(digest) ? undefined : ndn?.paths().first[0];
}

/** A segment that no one on NDN has right comes from the upstream; it is compared like any other. */
async function repairedSegment(
  { registry, metrics }: Pick<BlobServices, "registry" | "metrics">,
  { auth }: Puller,
  ...[{ repository, digest }, start, end, signal]: Parameters<SegmentRepair>
): ReturnType<SegmentRepair> {
  const both = AbortSignal.any([signal, AbortSignal.timeout(repairTimeoutMs)]);
  const { status, body } = await registry.getBlob(repository, digest, { auth, range: { start, end }, signal: both });
  if (status !== 206) {
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
    const refused = new AbortController();
    try {
      const [sizeBytes, read] = await Promise.all([
        grantedSize(rights, puller, wanted),
        inner.open(blob, from, AbortSignal.any([signal, refused.signal])),
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
  const right = await rights.ask(puller, wanted);
  if (right.kind === "granted") return right.sizeBytes;
  throw new BlobUnavailable(`upstream answers ${right.status} to the puller`);
}
