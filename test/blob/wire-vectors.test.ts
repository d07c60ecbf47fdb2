import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { objectEncoder, objectName, plainEncoder, plainName, type SegmentSize } from "#blob/names.ts";
import { parseName } from "#ndn/packet/name.ts";
import { digestOfHash } from "#oci/digest.ts";

interface Vector {
  form: "object" | "plain";
  repository?: string;
  size: number;
  chunkSize: SegmentSize;
  segment: number;
  blobSha256: string;
  dataLength: number;
  dataSha256: string;
  dataHex?: string;
  dataHexHead?: string;
}

const file = new URL("../wire-vectors.json", import.meta.url);
const { prefix, vectors } = JSON.parse(readFileSync(file, "utf8")) as { prefix: string; vectors: Vector[] };

/** The rule that the file itself gives. */
function goldenBlob(sizeBytes: number): Buffer {
  const blob = Buffer.alloc(sizeBytes);
  for (let i = 0; i < sizeBytes; i++) blob[i] = (7 * i + (i >> 8)) & 255;
  return blob;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function packetOf(vector: Vector, blob: Buffer): Buffer {
  const digest = digestOfHash(Buffer.from(vector.blobSha256, "hex"));
  const encoder =
    vector.form === "object"
      ? objectEncoder(objectName(parseName(prefix), digest, vector.chunkSize), vector.size, vector.chunkSize)
      : plainEncoder(plainName(parseName(prefix), vector.repository!, digest), vector.size);
  const [start, end] = [
    vector.segment * vector.chunkSize,
    Math.min(vector.size, (vector.segment + 1) * vector.chunkSize),
  ];
  const out = Buffer.alloc(encoder.sizeof(vector.segment, end - start));
  expect(encoder.write(out, 0, vector.segment, blob, start, end)).toBe(out.length);
  return out;
}

test.each(vectors)("$form segment $segment of $size bytes in $chunkSize is the golden packet", (vector) => {
  const blob = goldenBlob(vector.size);
  expect(sha256(blob)).toBe(vector.blobSha256);
  const packet = packetOf(vector, blob);
  expect(packet).toHaveLength(vector.dataLength);
  const head = vector.dataHex ?? vector.dataHexHead!;
  expect(packet.toString("hex", 0, head.length / 2)).toBe(head);
  expect(sha256(packet)).toBe(vector.dataSha256);
});
