/** Content codings (RFC 9110 § 8.4): what a registry, or a proxy before it, may do to a body although none was asked for. */
import type { IncomingHttpHeaders } from "node:http";
import { pipeline, type Readable, type Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";

/** Each added once is more than anyone does. */
const maxCodings = 3;
const pieces = { chunkSize: 64 * 1024 };

const decoders: ReadonlyMap<string, () => Transform> = new Map([
  ["gzip", () => createGunzip(pieces)],
  ["x-gzip", () => createGunzip(pieces)],
  ["deflate", () => createInflate(pieces)],
  ["br", () => createBrotliDecompress(pieces)],
  ["zstd", () => createZstdDecompress(pieces)],
]);

/** Whether a body has other bytes than what it stands for: a digest and a length are of what is not encoded. */
export function isEncoded(headers: IncomingHttpHeaders): boolean {
  return headers["content-encoding"] !== undefined && codingsOf(headers).length > 0;
}

/**
 * A body without its codings, in pieces of up to 64 KiB; to be read or destroyed in the place of the other. How long it
 * becomes is for the reader to bound.
 *
 * @returns Undefined, with the body as it was, for codings that are not known.
 */
export function decoded({ headers, body }: { headers: IncomingHttpHeaders; body: Readable }): Readable | undefined {
  const codings = codingsOf(headers);
  const makers = codings.toReversed().flatMap((coding) => decoders.get(coding) ?? []); // the last one was applied last
  if (makers.length < codings.length || codings.length > maxCodings) return undefined;
  if (makers.length === 0) return body;
  const steps = makers.map((make) => make());
  pipeline([body, ...steps], () => {}); // a failure comes to the reader of the last step
  return steps.at(-1)!;
}

function codingsOf({ "content-encoding": header = "" }: IncomingHttpHeaders): string[] {
  const codings = header.split(",").map((coding) => coding.trim().toLowerCase());
  return codings.filter((coding) => coding !== "" && coding !== "identity");
}
