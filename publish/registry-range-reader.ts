/**
 * Ranges of blobs from a registry over HTTP (OCI distribution-spec § Pulling blobs; RFC 9110 § 14).
 */

import type { BlobRef } from "#blob/source.ts";
import { type Body, copyInto } from "#oci/direct-get.ts";
import { parseContentRange } from "#oci/range.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import type { RangeRead, RangeReader } from "./range-reader.ts";

/** Statuses that mean "not here, or not public": an answer, not a failure. */
const absent = new Set([401, 403, 404]);

const sliceBytes = 64 * 1024;
const emptyBody: Body = { pourInto: async () => {}, cancel: () => {} };

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
    const response = await this.#client.getRange(blob.repository, blob.digest, { auth, range: { start, end }, signal });
    if (response.status === 206) return partial(response, start);
    if (response.status === 200) return cutOut(response, start, end);
    response.body.cancel();
    if (absent.has(response.status)) return undefined;
    if (response.status === 416) return beyondEnd(response);
    throw new Error(`registry answered ${response.status} to a range of ${blob.digest}`);
  }
}

function partial(response: RangeResponse, start: number): RangeRead {
  const range = parseContentRange(response.headers["content-range"]);
  if (range === undefined || "unsatisfied" in range || range.start !== start || range.sizeBytes === undefined) {
    response.body.cancel();
    throw new Error(`registry answered with another range: ${response.headers["content-range"]}`);
  }
  return { sizeBytes: range.sizeBytes, body: response.body };
}

/** The registry ignores ranges: what is wanted is cut out of the whole. */
function cutOut(response: RangeResponse, start: number, end: number): RangeRead {
  const sizeBytes = Number(response.headers["content-length"] ?? Number.NaN);
  if (!Number.isSafeInteger(sizeBytes)) {
    response.body.cancel();
    throw new Error("registry sent a blob without Content-Length");
  }
  return { sizeBytes, body: slice(response.body, start, Math.min(end, sizeBytes)) };
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
function beyondEnd(response: RangeResponse): RangeRead {
  const range = parseContentRange(response.headers["content-range"]);
  if (range === undefined || range.sizeBytes !== 0) throw new Error("registry refused a range that it should have");
  return { sizeBytes: 0, body: emptyBody };
}
