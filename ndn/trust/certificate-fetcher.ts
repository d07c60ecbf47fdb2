/**
 * Gets certificates from the network.
 */

import type { InterestClient } from "../consumer/interest-client.ts";
import type { Name } from "../packet/name.ts";
import type { TrustAnchors } from "./anchors.ts";
import { readKeyReference } from "./certificate.ts";
import type { FetchCertificate } from "./certificate-fetches.ts";
import { readSignedData } from "./signed-data.ts";

const limits = { timeoutMs: 4_000 };
/** Anchors that a certificate is asked for as, at most. */
const maxDigests = 4;

/**
 * A fetch that gives up after 4 s.
 *
 * @param anchors - Those that have not been seen yet are also asked for by their digests, when it has to be past the caches.
 */
export function certificateFetcher(
  interests: Pick<InterestClient, "express">,
  anchors?: Pick<TrustAnchors, "unmet">,
): FetchCertificate {
  return (name, signal, isPastCaches) =>
    isPastCaches ? askPastCaches(interests, anchors, name, signal) : interests.express(name, limits, signal);
}

/**
 * In two ways at the same time, because either may stay unanswered: a unique Interest, whose answer has the certificate
 * inside, is for servers of this project (PROTOCOL.md § Unique questions); a full name is only right for an anchor.
 */
async function askPastCaches(
  interests: Pick<InterestClient, "express">,
  anchors: Pick<TrustAnchors, "unmet"> | undefined,
  name: Name,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const answered = new AbortController();
  const until = AbortSignal.any([signal, answered.signal]);
  const unique = interests.express(name, limits, until, { isUnique: true });
  const byFullName = digestsFor(name, anchors).map((sha256) => interests.express(name, limits, until, { sha256 }));
  try {
    return await Promise.any([unique.then(contentOf), ...byFullName]);
  } catch (err: unknown) {
    throw err instanceof AggregateError ? err.errors[0] : err;
  } finally {
    answered.abort(new Error("answered"));
  }
}

function contentOf(packet: Buffer): Buffer {
  const data = readSignedData(packet);
  if (data) return data.content;
  throw new Error("the answer is malformed");
}

/** Digests of anchors that this certificate may be. */
function digestsFor(name: Name, anchors: Pick<TrustAnchors, "unmet"> | undefined): Buffer[] {
  if (!readKeyReference(name)?.isCertificateName) return [];
  const unmet = anchors?.unmet.slice(0, maxDigests) ?? [];
  return unmet.map((digest) => Buffer.from(digest.slice("sha256:".length), "hex"));
}
