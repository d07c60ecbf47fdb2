/**
 * Why something is as it is, in words that say what to do; for the log, the page and `/readyz`.
 */
import { connectionReason } from "#base/connection-reason.ts";
import { causesOf, reasonOf } from "#base/errors.ts";
import { BlobCorrupt, BlobUnknown } from "#blob/source.ts";
import { UpstreamAnswer } from "#blob/upstream-response.ts";
import { Untrusted } from "#ndn/trust/errors.ts";

const refusals: Readonly<Record<number, string>> = {
  401: "the registry wants a login: docker login",
  403: "the registry denies it to this puller",
  404: "the registry does not have it, or hides it from this puller",
  429: "the registry's pull quota is used up",
};

/** What a status of 400 or more to a puller means. */
export function refusalReason(status: number): string {
  if (status >= 500) return `the registry does not answer (${status}), and it is not cached`;
  return refusals[status] ?? `the registry answers ${status}`;
}

/** Why NDN did not bring a blob. */
export function ndnReason(err: unknown): string {
  if (err instanceof BlobUnknown) return "the server does not publish it (its --publish, --exclude and login decide)";
  if (err instanceof BlobCorrupt) return "its bytes on NDN were wrong";
  const causes = causesOf(err);
  const untrusted = causes.find((cause) => cause instanceof Untrusted);
  if (untrusted) return anchorReason(untrusted);
  const isSilent = causes.some(({ message }) => message.startsWith("timeout: no answer"));
  return isSilent
    ? "no one answered: is the server running, is --name the same there, is there a route?"
    : reasonOf(err);
}

/** Why the upstream, the last source, did not bring a blob. */
export function upstreamReason(err: unknown): string {
  const causes = causesOf(err);
  const answer = causes.find((cause) => cause instanceof UpstreamAnswer);
  if (answer) return refusalReason(answer.status);
  const known = connectionReason(err);
  return known === undefined ? reasonOf(err) : `the upstream cannot be reached: ${known}`;
}

/** Why what the server signs is not trusted. */
export function anchorReason({ rule, message }: Untrusted): string {
  if (rule === "validity") return `a certificate is not valid now (${message})`;
  return `the anchor does not fit the server's certificate (${message}): compare with ndn-registry key show`;
}
