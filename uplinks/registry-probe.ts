/**
 * Whether the server of a registry answers over an uplink, found out with one Interest for its certificate that no cache
 * can answer (PROTOCOL.md § Certificates, § Unique Interests): it costs the server no signature.
 */
import type { InterestClient } from "#ndn/consumer/interest-client.ts";
import { componentsOf, joinName, type Name, readableName } from "#ndn/packet/name.ts";
import type { TrustAnchors } from "#ndn/trust/anchors.ts";
import { keyComponent, readCertificate } from "#ndn/trust/certificate.ts";
import { Untrusted } from "#ndn/trust/errors.ts";
import { readSignedData } from "#ndn/trust/signed-data.ts";
import { isValidAt } from "#ndn/trust/validity.ts";
import type { Verifier } from "#ndn/trust/verifier.ts";

/** What was found: `unknown` when an answer says too little. */
export type ProbeOutcome =
  | { readonly state: "answers" | "unknown" }
  | { readonly state: "silent"; readonly reason: string }
  | { readonly state: "untrusted"; readonly reason: Untrusted };

/** What a probe uses. */
export interface Probe {
  readonly prefix: Name;
  readonly interests: Pick<InterestClient, "express">;
  /** Given, the certificate has to lead to an anchor. */
  readonly verifier: Verifier | undefined;
  readonly anchors?: Pick<TrustAnchors, "recognize"> | undefined;
}

const limits = { timeoutMs: 2_000 };
/** Names above the prefix that are asked for too: an issued certificate may speak for more than one registry. */
const maxParents = 3;

/** Ask once; resolves within 2 s, or when `signal` fires. */
export async function probeRegistry(
  { prefix, interests, verifier, anchors }: Probe,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const done = new AbortController();
  const until = AbortSignal.any([signal, done.signal]);
  const ask = (identity: Name) =>
    interests.express(joinName(identity, keyComponent), limits, until, { isUnique: true });
  const parents = parentsOf(prefix).map(ask);
  for (const parent of parents) parent.catch(() => {}); // looked at only if the first is not answered
  try {
    const certificate = readSignedData(await ask(prefix))?.content;
    if (!certificate) return { state: "unknown" };
    if (!isAnchor(certificate, anchors)) await verifier?.verify(certificate, until);
    return { state: "answers" };
  } catch (err: unknown) {
    if (err instanceof Untrusted) return isVerdict(err) ? { state: "untrusted", reason: err } : { state: "unknown" };
    const isKnownAbove = await Promise.any(parents).then(
      () => true,
      () => false,
    );
    return isKnownAbove ? { state: "unknown" } : { state: "silent", reason: silenceOf(prefix, err as Error) };
  } finally {
    done.abort(new Error("answered"));
  }
}

/** An anchor needs no one that vouches for it, though a renewed or issued one is signed by another. */
function isAnchor(wire: Buffer, anchors: Probe["anchors"]): boolean {
  if (!anchors) return false;
  try {
    const certificate = readCertificate(wire);
    return anchors.recognize(certificate) && isValidAt(certificate.validity, Date.now());
  } catch {
    return false; // what is no certificate is judged by the verifier
  }
}

/** A certificate of the chain that did not come now says nothing about the anchor. */
function isVerdict({ rule }: Untrusted): boolean {
  return rule !== "unavailable" && rule !== "busy";
}

function silenceOf(prefix: Name, err: Error): string {
  const name = readableName(prefix);
  const what = err.message.startsWith("Nack") ? `the forwarder has no route to ${name}` : `no one answers for ${name}`;
  return `${what}: is the server running, is --name the same there, is there a route?`;
}

/** The nearest first. */
function parentsOf(prefix: Name): Name[] {
  const ends = (componentsOf(prefix) ?? []).map(({ end }) => end);
  return ends
    .slice(0, -1)
    .reverse()
    .slice(0, maxParents)
    .map((end) => prefix.subarray(0, end));
}
