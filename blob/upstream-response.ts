/**
 * One answer of the upstream to a GET of a blob: is it the blob, and from which byte?
 */
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { decoded, isEncoded, parseContentRange } from "#oci/body-headers.ts";
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

/** What the upstream sends can be passed on as it is, but neither be checked, shared nor cached. */
export class NotShareable extends Error {
  override readonly name = "NotShareable";
}

/** The upstream has nothing to say, for longer than one waits. */
export class UpstreamSilent extends BlobUnavailable {}

/** A body that is read piece by piece. */
export interface Pieces {
  readonly body: Readable;
  /** May be exchanged for another that brings the same bytes. */
  iterator: AsyncIterator<Uint8Array>;
  /** Called when no one reads any more. */
  onEnd?: (() => void) | undefined;
  /** How long the next bytes are waited for; undefined: without end. */
  readonly patienceMs: () => number | undefined;
  /** What has been read beyond the point at which the reader begins, in order. */
  ahead: Uint8Array[];
}

/** Where a reader wants to begin; without `prefixSha256` an answer from byte 0 is of no use. */
interface Point {
  readonly offset: number;
  readonly sizeBytes?: number | undefined;
  prefixSha256?(): Buffer;
}

const answerBytes = 64 * 1024;
/** How long the body of a refusal is read: its head is enough. */
const answerMs = 2_000;

/**
 * The body of `response` from byte `point.offset` on. A 206 has to name exactly that range; of a 200 the first bytes are
 * read, hashed and thrown away, and the rest is good only if they are those that the reader has.
 *
 * @returns The size, unless neither the upstream nor the reader says it; only at offset 0.
 * @throws UpstreamAnswer, NotShareable at offset 0 only.
 * @throws BlobUnavailable, BlobCorrupt
 */
export async function positionedAt(
  response: BlobResponse,
  point: Point,
  patienceMs: Pieces["patienceMs"],
): Promise<{ sizeBytes: number | undefined; pieces: Pieces }> {
  const body = bodyOf(response, point);
  const iterator = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const pieces: Pieces = { body, iterator, patienceMs, ahead: [] };
  try {
    const sizeBytes = await position(response, pieces, point);
    if (sizeBytes === (point.sizeBytes ?? sizeBytes)) return { sizeBytes, pieces };
    throw new BlobUnavailable(`upstream has ${sizeBytes} bytes where it had ${point.sizeBytes}`);
  } catch (err: unknown) {
    endBody(pieces, false);
    throw err;
  }
}

/**
 * The blob's bytes, also of an upstream that encodes them although it was asked not to. A refusal is passed on as it is;
 * a part of what is encoded is no part of the blob.
 */
function bodyOf(response: BlobResponse, { offset }: Point): Readable {
  const { status, headers, body } = response;
  if ((status !== 200 && status !== 206) || !isEncoded(headers)) return body;
  const whole = status === 200 ? decoded(response) : undefined;
  if (whole) return whole;
  body.destroy();
  const Refusal = offset === 0 ? NotShareable : BlobUnavailable;
  throw new Refusal(`upstream answers ${status}, encoded as "${headers["content-encoding"]}", from byte ${offset}`);
}

async function position(response: BlobResponse, pieces: Pieces, point: Point): Promise<number | undefined> {
  const { status, headers } = response;
  if (status === 206) return sizeOfPartial(headers, point);
  if (status !== 200) {
    if (point.offset === 0) throw await answerOf(response, pieces);
    throw new BlobUnavailable(`upstream answers ${status} when asked from byte ${point.offset}`);
  }
  if (point.offset > 0) await skip(pieces, point);
  const isSaid = /^\d+$/.test(headers["content-length"] ?? "") && !isEncoded(headers);
  const sizeBytes = isSaid ? Number(headers["content-length"]) : point.sizeBytes;
  if (sizeBytes === undefined && point.offset > 0)
    throw new BlobUnavailable("upstream does not say how long the blob is");
  return sizeBytes;
}

function sizeOfPartial(headers: IncomingHttpHeaders, { offset, sizeBytes }: Point): number {
  const range = parseContentRange(headers["content-range"]);
  const isRest = range && "start" in range && range.start === offset && range.end === (range.sizeBytes ?? sizeBytes);
  if (isRest) return range.end;
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
    if (bytes.length > left) pieces.ahead = [bytes.subarray(left)];
    left -= Math.min(left, bytes.length);
  }
  if (hash.digest().equals(point.prefixSha256())) return;
  throw new BlobCorrupt(`the first ${offset} bytes of upstream are not those that were sent`);
}

/** The next bytes of the body, undefined at its end; a body that stays silent is broken off. */
export async function nextPiece(pieces: Pieces): Promise<Uint8Array | undefined> {
  const ahead = pieces.ahead.shift();
  if (ahead) return ahead;
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
export function endBody({ body, onEnd }: Pieces, isComplete: boolean): void {
  onEnd?.();
  body.on("error", () => {}); // no one reads any more, so no one needs the error
  if (isComplete) body.resume();
  else body.destroy();
}

async function answerOf({ status, headers }: BlobResponse, pieces: Pieces): Promise<UpstreamAnswer> {
  const collected: Uint8Array[] = [];
  let size = 0;
  const timer = setTimeout(() => pieces.body.destroy(), answerMs);
  try {
    for (let bytes = await nextPiece(pieces); bytes && size < answerBytes; bytes = await nextPiece(pieces)) {
      collected.push(bytes);
      size += bytes.length;
    }
  } catch (err: unknown) {
    // Registries break off the bodies of their own refusals: what has come is what there is.
    if (!(err instanceof BlobUnavailable)) throw err;
  } finally {
    clearTimeout(timer);
  }
  return new UpstreamAnswer(status, headers, Buffer.concat(collected).subarray(0, answerBytes));
}
