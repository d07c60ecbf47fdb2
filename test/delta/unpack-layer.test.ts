import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { unpackLayer } from "#delta/unpack-layer.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { idOf } from "./deltas.ts";

const tar = Buffer.concat([randomBytesOf("layer", 300_000), Buffer.alloc(300_000)]);
const forever = new AbortController().signal;

/** Pieces whose memory is used again, as a store's are. */
async function* inPieces(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(length);
  for (let at = 0; at < bytes.length; at += length) {
    const piece = memory.subarray(0, Math.min(length, bytes.length - at));
    piece.set(bytes.subarray(at, at + length));
    yield piece;
    memory.fill(0xee);
  }
}

async function unpacked(layer: AsyncIterable<Uint8Array>, maxBytes = tar.length, signal = forever) {
  const pieces: Buffer[] = [];
  const id = await unpackLayer(layer, maxBytes, async (bytes) => pieces.push(Buffer.from(bytes)), signal);
  return { id, bytes: Buffer.concat(pieces) };
}

test.each([
  ["gzip", gzipSync(tar)],
  ["gzip in two members", Buffer.concat([gzipSync(tar.subarray(0, 1000)), gzipSync(tar.subarray(1000))])],
  ["zstd", zstdCompressSync(tar)],
  [
    "zstd in two frames",
    Buffer.concat([zstdCompressSync(tar.subarray(0, 1000)), zstdCompressSync(tar.subarray(1000))]),
  ],
  ["no packing", tar],
])("a layer with %s gives its tar, in pieces of any length", async (_, layer) => {
  for (const length of [997, 65_536, 1 << 20]) {
    const { id, bytes } = await unpacked(inPieces(layer, length));
    expect(bytes.equals(tar)).toBe(true);
    expect(id).toEqual(idOf(tar));
  }
});

test("a layer of many zstd frames, some of them to be skipped, gives its tar", async () => {
  const small = Buffer.from("a small tar, ".repeat(20));
  const skipped = Buffer.from("522a4d1803000000aabbcc502a4d1800000000", "hex");
  const checked = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
  const frames = [zstdCompressSync(small.subarray(0, 7)), skipped, zstdCompressSync(small.subarray(7, 90), checked)];
  const layer = Buffer.concat([...frames, zstdCompressSync(Buffer.alloc(0)), zstdCompressSync(small.subarray(90))]);
  for (const length of [1, 3, 50, 1000])
    expect((await unpacked(inPieces(layer, length))).bytes.equals(small)).toBe(true);
});

test("a layer without a byte is a tar without one", async () => {
  expect((await unpacked(inPieces(new Uint8Array(), 1))).id).toEqual(idOf(new Uint8Array()));
});

test.each([
  ["gzip", gzipSync(Buffer.alloc(50_000_000))],
  ["zstd", zstdCompressSync(Buffer.alloc(50_000_000))],
])("a bomb of %s is given up where the tar is larger than it may be", async (_, layer) => {
  await expect(unpacked(inPieces(layer, 1000), 1_000_000)).rejects.toThrow(/more than 1000000 bytes/);
});

test("a zstd layer that would need more memory than 128 MiB is refused", async () => {
  const params = { [constants.ZSTD_c_windowLog]: 28 };
  const pieces = [zstdCompressSync(tar, { params }).subarray(0, 4), Buffer.from([0x00, 0x98]), Buffer.alloc(40)];
  await expect(unpacked(inPieces(Buffer.concat(pieces), 100))).rejects.toThrow(/memory/i);
});

test.each([
  ["gzip", gzipSync(tar)],
  ["zstd", zstdCompressSync(tar)],
])("a damaged layer of %s is an error", async (_, layer) => {
  await expect(unpacked(inPieces(layer.subarray(0, 1000), 500))).rejects.toThrow();
  const damaged = Buffer.from(layer).fill(0xff, 200, 300);
  await expect(unpacked(inPieces(damaged, 500)).then(({ id }) => expect(id).toEqual(idOf(tar)))).rejects.toThrow();
});

test("a source that fails, and a caller that leaves, end it with their reasons, and the source is closed", async () => {
  let closed = 0;
  async function* failing(): AsyncGenerator<Uint8Array> {
    try {
      yield gzipSync(tar).subarray(0, 1000);
      throw new Error("no more");
    } finally {
      closed += 1;
    }
  }
  await expect(unpacked(failing())).rejects.toThrow("no more");
  const caller = new AbortController();
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield Buffer.alloc(1000);
    } finally {
      closed += 1;
    }
  }
  const leaving = unpackLayer(endless(), 1e9, async () => caller.abort(new Error("left")), caller.signal);
  await expect(leaving).rejects.toThrow("left");
  expect(closed).toBe(2);
});
