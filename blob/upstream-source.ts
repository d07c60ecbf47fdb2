/**
 * The upstream registry as a source of blobs, asked with the puller's own Authorization.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { PullerAuth } from "#oci/auth.ts";
import { isEncoded } from "#oci/body-headers.ts";
import { type BlobResponse, type RegistryClient, RegistryUnreachable } from "#oci/registry-client.ts";
import { type BlobRead, type BlobRef, type BlobSource, BlobUnavailable, type ResumePoint } from "./source.ts";
import { type LengthHelp, lengthOf } from "./unknown-length.ts";
import { endBody, nextPiece, type Pieces, positionedAt, UpstreamSilent } from "./upstream-response.ts";

export { NotShareable, UpstreamAnswer } from "./upstream-response.ts";

/** Where and how to ask. */
export interface UpstreamSourceOptions {
  registry: Pick<RegistryClient, "getBlob">;
  /** In whose name. */
  auth: PullerAuth;
  /** A body that brings nothing for this long is broken off, unless no other source is left. @defaultValue 15000 */
  stallTimeoutMs?: number | undefined;
  /**
   * Whether a reader is there and no other source could serve it: then the registry may be silent for as long as the
   * reader waits. Asked before each wait. @defaultValue never
   */
  isLast?: (() => boolean) | undefined;
  /** For blobs whose length the registry does not say. @defaultValue those longer than 8 MiB are `NotShareable` */
  length?: LengthHelp | undefined;
}

const triesWithoutProgress = 3;
/** So often a puller waits for an upstream that has fallen silent, over all reads of one source … */
const maxSilences = 2;
/** … until so much has come without a silence: some bytes now and then are no progress. */
const forgivenAfterBytes = 8 * 1024 * 1024;
const firstPauseMs = 100;

/**
 * Blobs of the registry. A body that breaks off is resumed at its byte with a range, up to 3 times without progress;
 * a registry that then starts over is for the next source, which can prove the prefix.
 *
 * `open` also throws `UpstreamAnswer` when a fresh start is refused, and `NotShareable` when its size cannot be found out, or its coding is not
 * known.
 */
export function upstreamSource(options: UpstreamSourceOptions): BlobSource {
  const { registry, auth, stallTimeoutMs = 15_000, isLast = () => false } = options;
  const silence: Silence = { times: 0, bytesSince: 0 };
  const patienceMs = () => (isLast() ? undefined : stallTimeoutMs);
  // Ranges of what is encoded are of no use: then it is asked for as a whole, and continued where the reader is.
  let encodes = false;
  const ask = async ({ repository, digest }: BlobRef, offset: number, signal: AbortSignal): Promise<BlobResponse> => {
    const patientWith = isLast() ? "answer" : undefined;
    const isGivenUp = !patientWith && silence.times >= maxSilences;
    if (isGivenUp) throw new BlobUnavailable(`upstream was silent ${silence.times} times in a row`);
    const range = offset > 0 && !encodes ? { start: offset } : undefined;
    try {
      const response = await registry.getBlob(repository, digest, { auth, range, patientWith, signal });
      encodes ||= response.status < 300 && isEncoded(response.headers);
      return response;
    } catch (err: unknown) {
      throw noted(silence, unavailable(err, signal));
    }
  };

  const open = async (blob: BlobRef, from: ResumePoint, signal: AbortSignal): Promise<BlobRead> => {
    const response = await ask(blob, from.offset, signal);
    try {
      const { sizeBytes: said, pieces } = await positionedAt(response, from, patienceMs);
      const sizeBytes = said ?? (await lengthOf(pieces, blob, { ...options.length, arrived: from.arrived }, signal));
      const resume = async (offset: number) => {
        if (encodes) throw new BlobUnavailable(`upstream encodes the blob, and cannot continue at byte ${offset}`);
        const again = await ask(blob, offset, signal);
        return (await positionedAt(again, { offset, sizeBytes }, patienceMs)).pieces;
      };
      return { sizeBytes, chunks: persistently(pieces, from.offset, sizeBytes, resume, silence, signal) };
    } catch (err: unknown) {
      response.body.destroy();
      throw noted(silence, unavailable(err, signal));
    }
  };
  return { name: "upstream", open };
}

/** The pieces up to `sizeBytes`; after a break they go on with what `resume` brings. */
async function* persistently(
  first: Pieces,
  from: number,
  sizeBytes: number,
  resume: (offset: number) => Promise<Pieces>,
  silence: Silence,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let [pieces, offset, tries]: [Pieces | undefined, number, number] = [first, from, 0];
  while (offset < sizeBytes) {
    try {
      pieces ??= await resume(offset);
      for (let bytes = await nextPiece(pieces); bytes; bytes = await nextPiece(pieces)) {
        [offset, tries] = [offset + bytes.length, 0];
        silence.bytesSince += bytes.length;
        if (silence.bytesSince >= forgivenAfterBytes) silence.times = 0;
        yield bytes;
      }
      if (offset < sizeBytes) throw new BlobUnavailable(`upstream ended at byte ${offset} of ${sizeBytes}`);
    } catch (err: unknown) {
      const failure = noted(silence, unavailable(err, signal));
      tries += 1;
      if (!(failure instanceof BlobUnavailable) || tries >= triesWithoutProgress) throw failure;
      await delay(firstPauseMs * 2 ** (tries - 1), undefined, { signal });
    } finally {
      if (pieces) endBody(pieces, offset === sizeBytes);
      pieces = undefined;
    }
  }
}

/** How often an upstream had nothing to say, and how much it said since. */
interface Silence {
  times: number;
  bytesSince: number;
}

function noted(silence: Silence, failure: unknown): unknown {
  const { code } = (((failure as Error).cause as Error | undefined)?.cause ?? {}) as NodeJS.ErrnoException;
  if (failure instanceof UpstreamSilent || code === "UND_ERR_HEADERS_TIMEOUT") {
    silence.times += 1;
    silence.bytesSince = 0;
  }
  return failure;
}

/** `err` as this port's own; an abort and what is no failure of the connection stay what they are. */
function unavailable(err: unknown, signal: AbortSignal): unknown {
  signal.throwIfAborted();
  return err instanceof RegistryUnreachable ? new BlobUnavailable(err.message, { cause: err }) : err;
}
