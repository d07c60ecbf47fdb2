/**
 * Ranges of blobs from a registry over HTTP (OCI distribution-spec § Pulling blobs; RFC 9110 § 14).
 */

import type { BlobRef } from "#blob/source.ts";
import { isEncoded, parseContentRange } from "#oci/body-headers.ts";
import { type Body, copyInto } from "#oci/direct-get.ts";
import type { Digest } from "#oci/reference.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import { NotPublishable, type RangeRead, type RangeReader } from "./range-reader.ts";

/** Statuses that mean "not here, or not public": an answer, not a failure. */
const absent = new Set([401, 403, 404]);

const sliceBytes = 64 * 1024;
const emptyBody: Body = { pourInto: async () => {}, cancel: () => {} };

type RegistryAuth = { readonly kind: "login" | "anonymous" };
type RangeResponse = Awaited<ReturnType<RegistryClient["getRange"]>>;

/** Reads from a registry; with a login only where the operator has listed the repository. */
export class RegistryRangeReader implements RangeReader {
  readonly #client: RegistryClient;
  readonly #logins: { isListed(repository: string): boolean };

  constructor(client: RegistryClient, logins: { isListed(repository: string): boolean }) {
    this.#client = client;
    this.#logins = logins;
  }

  async read(blob: BlobRef, start: number, end: number, signal: AbortSignal): Promise<RangeRead | undefined> {
    const auth = { kind: this.#logins.isListed(blob.repository) ? "login" : "anonymous" } as const;
    const { repository, digest } = blob;
    const response = await this.#client.getRange(repository, digest, { auth, range: { start, end }, signal });
    const { status, body } = response;
    try {
      if (status === 206 || status === 200) {
        refuseEncoded(response, digest);
        const sizeBytes = sizeIn(response, start) ?? (await this.#askSize(blob, auth, signal));
        // A registry that ignores ranges sends the whole: what is wanted is cut out of it.
        return { sizeBytes, body: status === 206 ? body : slice(body, start, Math.min(end, sizeBytes)) };
      }
      if (status === 416) return beyondEnd(response);
      if (absent.has(status)) return giveUp(response);
      throw new Error(`registry answered ${status} to a range of ${digest}`);
    } catch (err: unknown) {
      body.cancel();
      throw err;
    }
  }

  /** For a registry that does not say it with the bytes. */
  async #askSize({ repository, digest }: BlobRef, auth: RegistryAuth, signal: AbortSignal): Promise<number> {
    const { status, headers } = await this.#client.headBlob(repository, digest, { auth, signal });
    refuseEncoded({ headers }, digest);
    const sizeBytes = Number(headers["content-length"]);
    if (status === 200 && sizeBytes > 0) return sizeBytes;
    const Failure = status === 200 ? NotPublishable : Error;
    throw new Failure(`registry does not say how long ${digest} is (HEAD: ${status})`);
  }
}

/** Other bytes than the blob's must not be served, listed or signed; nor is their length the blob's. */
function refuseEncoded({ headers }: Pick<RangeResponse, "headers">, digest: Digest): void {
  if (!isEncoded(headers)) return;
  throw new NotPublishable(
    `registry sends ${digest} encoded as "${headers["content-encoding"]}" although it was asked not to`,
  );
}

/** The size of the blob, if the answer says it. @throws Error when a 206 is for another range. */
function sizeIn({ status, headers }: RangeResponse, start: number): number | undefined {
  if (status === 200)
    return /^\d{1,15}$/.test(headers["content-length"] ?? "") ? Number(headers["content-length"]) : undefined;
  const range = parseContentRange(headers["content-range"]);
  if (range && "start" in range && range.start === start) return range.sizeBytes;
  throw new Error(`registry answered with another range: ${headers["content-range"]}`);
}

/** Bytes `[start, end)` of a body. */
function slice(body: Body, start: number, end: number): Body {
  return {
    async pourInto(sink) {
      const scratch = new Uint8Array(sliceBytes);
      let [at, isEnough] = [0, start >= end];
      await body.pourInto({
        space: () => scratch,
        filled(bytes) {
          const piece = scratch.subarray(Math.max(0, start - at), Math.max(0, Math.min(bytes, end - at)));
          at += bytes;
          isEnough ||= at >= end;
          const wanted = piece.length === 0 || copyInto(sink, piece);
          if (typeof wanted === "boolean") return wanted && !isEnough;
          return wanted.then((more) => more && !isEnough);
        },
      });
    },
    cancel: () => body.cancel(),
  };
}

/** A range of an empty blob cannot be satisfied: the answer says so, and gives its size. */
function beyondEnd({ headers, body }: RangeResponse): RangeRead {
  const range = parseContentRange(headers["content-range"]);
  if (range?.sizeBytes !== 0) throw new Error("registry refused a range that it should have");
  body.cancel();
  return { sizeBytes: 0, body: emptyBody };
}

function giveUp({ body }: RangeResponse): undefined {
  body.cancel();
}
