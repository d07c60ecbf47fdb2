/** Deltas made and applied in memory. */
import { createHash } from "node:crypto";
import { applyDelta, type KnownTar } from "#delta/apply-delta.ts";
import type { TarId } from "#delta/format/delta-file.ts";
import { makeDelta } from "#delta/make/make-delta.ts";
import { bytesReader } from "#delta/random-reader.ts";

export function known(bytes: Uint8Array): KnownTar {
  return { bytes: bytesReader(bytes), sha256: createHash("sha256").update(bytes).digest("hex") };
}

export function idOf(bytes: Uint8Array): TarId {
  return { sizeBytes: bytes.length, sha256: known(bytes).sha256 };
}

export function deltaBetween(base: Uint8Array, target: Uint8Array): Buffer {
  return collected((write) => makeDelta(known(base), known(target), write));
}

export function applied(base: Uint8Array, delta: Uint8Array, expected: TarId): Buffer {
  return collected((write) => applyDelta(known(base), bytesReader(delta), expected, write));
}

function collected(work: (write: (bytes: Uint8Array) => void) => void): Buffer {
  const pieces: Buffer[] = [];
  work((bytes) => pieces.push(Buffer.from(bytes)));
  return Buffer.concat(pieces);
}
