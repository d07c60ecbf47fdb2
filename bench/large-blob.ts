/**
 * Blobs that are too large to be cached: their bytes are made from a seed as often as they are needed.
 */
import { createCipheriv, createHash } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { repository } from "./rig.ts";

const pieceBytes = 1 << 20;

/** Bytes that look random and are the same each time, in pieces. */
export function* seededPieces(seed: string, sizeBytes: number): Generator<Buffer> {
  const key = createHash("sha256").update(seed).digest();
  const cipher = createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
  const zeros = Buffer.alloc(pieceBytes);
  for (let at = 0; at < sizeBytes; at += pieceBytes) {
    yield cipher.update(zeros.subarray(0, Math.min(pieceBytes, sizeBytes - at)));
  }
}

/** Hexadecimal sha256 of the seed's first bytes. */
export function seededHash(seed: string, sizeBytes: number): string {
  const hash = createHash("sha256");
  for (const piece of seededPieces(seed, sizeBytes)) hash.update(piece);
  return hash.digest("hex");
}

/** Upload a seed's blob, after a first pass for its digest; resolves with that. */
export async function pushSeeded(registry: string, seed: string, sizeBytes: number): Promise<string> {
  const digest = `sha256:${seededHash(seed, sizeBytes)}`;
  const begun = await fetch(`${registry}/v2/${repository}/blobs/uploads/`, { method: "POST" });
  const location = new URL(begun.headers.get("Location")!, registry);
  location.searchParams.set("digest", digest);
  const headers = { "Content-Type": "application/octet-stream", "Content-Length": sizeBytes };
  const upload = request(location, { method: "PUT", headers });
  const answered = once(upload, "response") as Promise<[IncomingMessage]>;
  const [[response]] = await Promise.all([answered, pipeline(Readable.from(seededPieces(seed, sizeBytes)), upload)]);
  response.resume();
  if (response.statusCode !== 201) throw new Error(`upload of ${digest}: ${response.statusCode}`);
  return digest;
}
