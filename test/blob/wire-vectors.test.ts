import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { objectEncoder, objectName, plainEncoder, plainName, type SegmentSize } from "#blob/names.ts";
import { DataFields } from "#ndn/packet/data.ts";
import { parseName } from "#ndn/packet/name.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { readElements, tlv } from "#ndn/packet/tlv.ts";
import { digestOfHash } from "#oci/reference.ts";

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

/** The payload of a packet; undefined when it is dropped. */
function payloadOf(packet: Buffer): Buffer | undefined {
  const [view, fields] = [new PacketView(), new DataFields()];
  if (!view.read(packet, 0, packet.length) || !fields.read(view)) return undefined;
  return packet.subarray(fields.contentStart, fields.contentEnd);
}

/** A packet with another element behind each of its own in turn. */
function* withElement(packet: Buffer, type: number): Generator<Buffer> {
  const { type: outer, start, end } = readElements(packet)![0]!;
  const own = readElements(packet, start, end)!.map((element) => packet.subarray(element.at, element.end));
  for (let nth = 1; nth <= own.length; nth++) yield tlv(outer, ...own.toSpliced(nth, 0, tlv(type, Buffer.of(7))));
}

test.each(vectors)(
  "$form segment $segment of $size bytes in $chunkSize is read, with an unknown element if that is not critical",
  (vector) => {
    const blob = goldenBlob(vector.size);
    const packet = packetOf(vector, blob);
    const start = vector.segment * vector.chunkSize;
    const payload = blob.subarray(start, start + vector.chunkSize);
    expect(payloadOf(packet)).toEqual(payload);
    for (const type of [0x20, 0xf0, 0xf500])
      for (const longer of withElement(packet, type))
        if (longer.length <= 8800) expect(payloadOf(longer)).toEqual(payload);
    for (const type of [0x1f, 0xf1, 0xf501])
      for (const longer of withElement(packet, type)) expect(payloadOf(longer)).toBeUndefined();
  },
);
