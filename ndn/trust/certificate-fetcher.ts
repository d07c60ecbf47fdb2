/**
 * Gets certificates from the network through the slow lane of an uplink.
 */
import { Encoder } from "@ndn/tlv";
import type { ControlPlane } from "../control-plane.ts";
import type { Name } from "../name.ts";
import type { TrustAnchors } from "./anchors.ts";
import { readKeyReference } from "./certificate.ts";
import type { FetchCertificate } from "./certificate-fetches.ts";
import type { FullNameQuestions } from "./full-name-questions.ts";

const retransmitAfterMs = 1_000;
const giveUpAfterMs = 4_000;
/** Anchors that a certificate is asked for as, at most. */
const maxDigests = 4;

/** What it takes to ask for anchors by their digests. */
export interface ByDigest {
  readonly questions: Pick<FullNameQuestions, "ask">;
  readonly anchors: Pick<TrustAnchors, "unmet">;
}

/** A fetch that gives up after 4 s. */
export function certificateFetcher(plane: Pick<ControlPlane, "express">, byDigest?: ByDigest): FetchCertificate {
  return async (name, signal, isPastCaches) => {
    if (isPastCaches) return askPastCaches(plane, byDigest, name, signal);
    return Encoder.encode(await plane.express(name, retransmitAfterMs, giveUpAfterMs, signal));
  };
}

/**
 * In two ways at the same time, because either may stay unanswered: a unique question, whose answer has the certificate
 * inside, is for servers of this project (PROTOCOL.md § Unique questions); a full name is only right for an anchor.
 */
async function askPastCaches(
  plane: Pick<ControlPlane, "express">,
  byDigest: ByDigest | undefined,
  name: Name,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const answered = new AbortController();
  const until = AbortSignal.any([signal, answered.signal]);
  const unique = plane.express(name, retransmitAfterMs, giveUpAfterMs, until, { isUnique: true });
  const byFullName = digestsFor(name, byDigest).map((digest) =>
    byDigest!.questions.ask(name, digest, retransmitAfterMs, giveUpAfterMs, until),
  );
  try {
    return await Promise.any([unique.then(({ content }) => content), ...byFullName]);
  } catch (err: unknown) {
    throw err instanceof AggregateError ? err.errors[0] : err;
  } finally {
    answered.abort(new Error("answered"));
  }
}

/** Digests of anchors that this certificate may be. */
function digestsFor(name: Name, byDigest: ByDigest | undefined): Buffer[] {
  if (!readKeyReference(name)?.isCertificateName) return [];
  const unmet = byDigest?.anchors.unmet.slice(0, maxDigests) ?? [];
  return unmet.map((digest) => Buffer.from(digest.slice("sha256:".length), "hex"));
}
