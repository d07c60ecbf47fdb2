import fc from "fast-check";
import { expect, test } from "vitest";
import { FramingError, PacketScanner } from "#ndn/packet/packet-view.ts";
import { maxPacketBytes, tlv } from "#ndn/packet/tlv.ts";

const packet = fc
  .tuple(fc.constantFrom(0x05, 0x06, 0x64), fc.oneof(fc.nat(300), fc.constantFrom(252, 253, 8000, 8796)), fc.nat(255))
  .map(([type, length, filler]) => tlv(type, Buffer.alloc(length, filler)));

/** Everything that a scanner finds in these chunks. */
function scan(chunks: readonly Buffer[]): Buffer[] {
  const found: Buffer[] = [];
  const scanner = new PacketScanner(
    (buf, start, end) => found.push(Buffer.from(buf.subarray(start, end))),
    maxPacketBytes,
  );
  for (const chunk of chunks) scanner.push(chunk);
  return found;
}

function cut(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
  return at.slice(1).map((end, i) => stream.subarray(at[i], end));
}

test("packets come out the same however the stream is cut into chunks", () => {
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 8 }), fc.array(fc.nat(20_000), { maxLength: 30 }), (packets, cuts) => {
      expect(scan(cut(Buffer.concat(packets), cuts))).toEqual(packets);
    }),
    { numRuns: 300 },
  );
});

test("packets come out of single bytes", () => {
  const packets = [tlv(0x05, Buffer.alloc(3, 1)), tlv(0x64), tlv(0x06, Buffer.alloc(8796, 2)), tlv(0x05)];
  const stream = Buffer.concat(packets);
  expect(scan(Array.from(stream, (byte) => Buffer.of(byte)))).toEqual(packets);
});

test("a packet of 8800 bytes passes, one of 8801 is a FramingError as soon as its length is known", () => {
  const largest = tlv(0x06, Buffer.alloc(8796));
  expect(largest).toHaveLength(8800);
  expect(scan([largest])).toHaveLength(1);
  const tooLarge = tlv(0x06, Buffer.alloc(8797));
  expect(() => scan([tooLarge.subarray(0, 4)])).toThrow(FramingError);
  expect(() => scan(Array.from(tooLarge.subarray(0, 4), (byte) => Buffer.of(byte)))).toThrow(FramingError);
});

test.each(["fe0000ffff", "fe7fffffff", "feffffffff", "ff00000000ffffffff"])("length %s is a FramingError", (length) => {
  expect(() => scan([Buffer.from(`06${length}`, "hex")])).toThrow(FramingError);
});

test("packets before garbage are handed out, then the garbage is a FramingError", () => {
  const found: number[] = [];
  const scanner = new PacketScanner((_, start, end) => found.push(end - start), maxPacketBytes);
  const good = tlv(0x05, Buffer.alloc(10));
  expect(() => scanner.push(Buffer.concat([good, good, Buffer.from("GET / HTTP/1.1\r\n")]))).toThrow(FramingError);
  expect(found).toEqual([12, 12]);
});

test("garbage of any kind and chunking gives packets or a FramingError, nothing else", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }), (chunks) => {
      try {
        scan(chunks.map((chunk) => Buffer.from(chunk)));
      } catch (err: unknown) {
        expect(err).toBeInstanceOf(FramingError);
      }
    }),
    { numRuns: 1_000 },
  );
});
