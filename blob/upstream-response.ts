/**
 * One answer of the upstream to a GET of a blob: is it the blob, and from which byte?
 */
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { parseContentRange } from "#oci/range.ts";
import type { BlobResponse } from "#oci/registry-client.ts";
import { BlobCorrupt, BlobUnavailable } from "./source.ts";

/** The upstream refuses to begin: its answer is the puller's, as it is. */
export class UpstreamAnswer extends Error {
  override readonly name = "UpstreamAnswer";
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** At most 64 KiB of the answer's body. */
  readonly body: Buffer;

  constructor(status: number, headers: IncomingHttpHeaders, body: Buffer) {
    super(`upstream answers ${status}`);
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

/** The upstream sends the blob without saying how long it is: it can be passed on, but not resumed. */
export class LengthUnknown extends Error {
  override readonly name = "LengthUnknown";
}

/** The upstream has nothing to say, for longer than one waits. */
export class UpstreamSilent extends BlobUnavailable {}

/** A body that is read piece by piece. */
export interface Pieces {
  readonly body: Readable;
  readonly iterator: AsyncIterator<Uint8Array>;
  /** How long the next bytes are waited for; undefined: without end. */
  readonly patienceMs: () => number | undefined;
  /** What has been read beyond the point at which the reader begins. */
  ahead: Uint8Array | undefined;
}

/** Where a reader wants to begin; without `prefixSha256` an answer from byte 0 is of no use. */
interface Point {
  readonly offset: number;
  readonly sizeBytes?: number | undefined;
  prefixSha256?(): Buffer;
}

const answerBytes = 64 * 1024;

/**
 * The body of `response` from byte `point.offset` on. A 206 has to name exactly that range; of a 200 the first bytes are
 * read, hashed and thrown away, and the rest is good only if they are those that the reader has.
 *
 * @throws UpstreamAnswer, LengthUnknown at offset 0 only.
 * @throws BlobUnavailable, BlobCorrupt
 */
export async function positionedAt(
  response: BlobResponse,
  point: Point,
  patienceMs: Pieces["patienceMs"],
): Promise<{ sizeBytes: number; pieces: Pieces }> {
  const pieces: Pieces = {
    body: response.body,
    iterator: response.body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>,
    patienceMs,
    ahead: undefined,
  };
  try {
    const sizeBytes = await position(response, pieces, point);
    if (sizeBytes === (point.sizeBytes ?? sizeBytes)) return { sizeBytes, pieces };
    throw new BlobUnavailable(`upstream has ${sizeBytes} bytes where it had ${point.sizeBytes}`);
  } catch (err: unknown) {
    endBody(pieces, false);
    throw err;
  }
}

async function position(response: BlobResponse, pieces: Pieces, point: Point): Promise<number> {
  const { status, headers } = response;
  if (status === 206) return sizeOfPartial(headers, point.offset);
  if (status !== 200) {
    if (point.offset === 0) throw await answerOf(response, pieces);
    throw new BlobUnavailable(`upstream answers ${status} when asked from byte ${point.offset}`);
  }
  const sizeBytes = /^\d+$/.test(headers["content-length"] ?? "") ? Number(headers["content-length"]) : undefined;
  if (point.offset > 0) await skip(pieces, point);
  if (sizeBytes === undefined) {
    if (point.offset === 0) throw new LengthUnknown("upstream sends no Content-Length");
    throw new BlobUnavailable("upstream sends no Content-Length");
  }
  return sizeBytes;
}

function sizeOfPartial(headers: IncomingHttpHeaders, offset: number): number {
  const range = parseContentRange(headers["content-range"]);
  if (range && "start" in range && range.start === offset && range.end === range.sizeBytes) return range.sizeBytes;
  throw new BlobUnavailable(`upstream answers 206 with "${headers["content-range"]}" when asked from byte ${offset}`);
}

async function skip(pieces: Pieces, point: Point): Promise<void> {
  const { offset } = point;
  if (!point.prefixSha256) throw new BlobUnavailable(`upstream starts over when asked from byte ${offset}`);
  const hash = createHash("sha256");
  let left = offset;
  while (left > 0) {
    const bytes = await nextPiece(pieces);
    if (!bytes) throw new BlobUnavailable(`upstream ended ${left} bytes before byte ${offset}`);
    hash.update(bytes.subarray(0, left));
    if (bytes.length > left) pieces.ahead = bytes.subarray(left);
    left -= Math.min(left, bytes.length);
  }
  if (hash.digest().equals(point.prefixSha256())) return;
  throw new BlobCorrupt(`the first ${offset} bytes of upstream are not those that were sent`);
}

/** The next bytes of the body, undefined at its end; a body that stays silent is broken off. */
export async function nextPiece(pieces: Pieces): Promise<Uint8Array | undefined> {
  if (pieces.ahead) {
    const bytes = pieces.ahead;
    pieces.ahead = undefined;
    return bytes;
  }
  // Only the wait for the upstream is timed, not what the reader does between two pieces.
  const patienceMs = pieces.patienceMs();
  const giveUp = () => void pieces.body.destroy(new UpstreamSilent(`upstream sent nothing for ${patienceMs} ms`));
  const timer = patienceMs === undefined ? undefined : setTimeout(giveUp, patienceMs);
  try {
    const { done, value } = await pieces.iterator.next();
    return done ? undefined : value;
  } catch (err: unknown) {
    if (err instanceof BlobUnavailable) throw err;
    throw new BlobUnavailable(err instanceof Error ? err.message : "upstream broke off", { cause: err });
  } finally {
    clearTimeout(timer);
  }
}

/** Let go of the body; when all of it is there its connection stays usable. */
export function endBody({ body }: Pieces, isComplete: boolean): void {
  body.on("error", () => {}); // no one reads any more, so no one needs the error
  if (isComplete) body.resume();
  else body.destroy();
}

async function answerOf({ status, headers }: BlobResponse, pieces: Pieces): Promise<UpstreamAnswer> {
  const collected: Uint8Array[] = [];
  let size = 0;
  for (let bytes = await nextPiece(pieces); bytes && size < answerBytes; bytes = await nextPiece(pieces)) {
    collected.push(bytes);
    size += bytes.length;
  }
  return new UpstreamAnswer(status, headers, Buffer.concat(collected).subarray(0, answerBytes));
}
