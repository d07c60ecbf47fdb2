/**
 * Behind `--htpasswd` a puller has logged in here, and that login goes no further. So it must not hear the upstream's
 * challenges: it would answer them with the endpoint's password, at the upstream's token service.
 */
import type { IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";
import { HelpFailed, LoginWanted, RegistryError, RegistryUnreachable } from "#oci/errors.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import { apiVersion } from "../http/answers.ts";
import { isRead } from "../http/semantics.ts";
import { discard } from "./upstream-question.ts";

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The caller reads it or destroys it; empty after a HEAD. */
  readonly body: Readable;
}

/** The reads of blobs. */
type BlobReads = Pick<RegistryClient, "base" | "getBlob" | "headBlob">;

/** Whether a path with its query is `/v2/`, where a registry says how to log in. */
export function isPing(path: string): boolean {
  return /^\/v2\/?(?:\?|$)/.test(path);
}

/**
 * An answer of the upstream as a puller hears it that has come through the gate. A 401 is a welcome at `/v2/`, as the
 * login is done, and everywhere else a 403: no other login would help.
 *
 * @throws What `asked` rejects with, but without an answer that would be for the puller to act on.
 */
export async function withoutChallenge(method: string, path: string, asked: Promise<Answer>): Promise<Answer> {
  try {
    const answer = await asked;
    if (answer.status === 401) return instead(method, path, answer);
    const { "www-authenticate": challenge, ...headers } = answer.headers;
    return challenge === undefined ? answer : { ...answer, headers };
  } catch (err: unknown) {
    if (!(err instanceof HelpFailed)) throw err;
    if (err.cause instanceof LoginWanted) return instead(method, path);
    throw new RegistryUnreachable(err.message, { cause: err.cause });
  }
}

/** The answer where another login would be needed, in place of one that says so or leads to a host that might. */
export function instead(method: string, path: string, refusal?: Answer): Answer {
  if (refusal) discard(refusal.body);
  const { status, text } = isRead(method) && isPing(path) ? { status: 200, text: "{}" } : { status: 403, text: denial };
  return { status, headers: headersOf(text), body: Readable.from(method === "HEAD" ? [] : [Buffer.from(text)]) };
}

/** The same registry, whose refusals of blobs have no challenge. */
export function blobsWithoutChallenge(registry: BlobReads): BlobReads {
  return {
    base: registry.base,
    getBlob: (repository, digest, options) =>
      withoutChallenge("GET", `/v2/${repository}/blobs/${digest}`, registry.getBlob(repository, digest, options)),
    headBlob: (repository, digest, options) => {
      const head = registry.headBlob(repository, digest, options).then((one) => ({ ...one, body: Readable.from([]) }));
      return withoutChallenge("HEAD", `/v2/${repository}/blobs/${digest}`, head);
    },
  };
}

const denial = JSON.stringify(
  new RegistryError("DENIED", "the upstream registry does not give this to the client of this endpoint"),
);

function headersOf(text: string): IncomingHttpHeaders {
  return { ...apiVersion, "content-type": "application/json", "content-length": `${Buffer.byteLength(text)}` };
}
