import { expect, test } from "vitest";
import type { PacketHandler } from "#ndn/face/face.ts";
import { encodeInterest } from "#ndn/packet/interest.ts";
import { joinName, segment } from "#ndn/packet/name.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { readElements, tlv } from "#ndn/packet/tlv.ts";
import { patternBlob } from "#test/support/registry.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { inMemory, ObjectsInMemory, overSocket, producerOf, readAll, unixUrl, type Way } from "./objects.ts";

const never = new AbortController().signal;
const megabytes = 3 * 1024 * 1024 + 17;

/** Run with each way to a producer of these objects. */
async function eachWay(objects: ObjectsInMemory, run: (way: Way) => Promise<void>): Promise<void> {
  await using folder = await makeTemporaryFolder();
  const openers = [
    () => inMemory(producerOf(objects)),
    () => overSocket(unixUrl(folder.path), producerOf(objects)),
    () => overSocket("tcp://127.0.0.1:0", producerOf(objects)),
    () => overSocket("udp://127.0.0.1:0", producerOf(objects)),
  ];
  for (const opener of openers) {
    await using way = await opener();
    await run(way);
    expect(way.consumer.inflight).toBe(0);
  }
}

test.each([0, 1, 1200, 8192, 8193, megabytes])(
  "an object of %d bytes arrives in both sizes over every way",
  async (size) => {
    const bytes = patternBlob(size);
    const objects = new ObjectsInMemory();
    const whats = [objects.add("blob", bytes, 8192), objects.add("blob", bytes, 1200)];
    await eachWay(objects, async ({ consumer }) => {
      for (const what of whats) expect((await readAll(consumer.fetch(what, never))).equals(bytes)).toBe(true);
    });
  },
);

test("a fetch that begins in the middle brings the rest", async () => {
  const bytes = patternBlob(megabytes);
  const objects = new ObjectsInMemory();
  const what = objects.add("blob", bytes);
  await eachWay(objects, async ({ consumer }) => {
    for (const firstSegment of [1, 31, 32, 250, what.lastSegment]) {
      const read = await readAll(consumer.fetch({ ...what, firstSegment }, never));
      expect(read.equals(bytes.subarray(firstSegment * 8192))).toBe(true);
    }
  });
});

test("many objects arrive at once, and the same object for several readers", async () => {
  const objects = new ObjectsInMemory();
  const blobs = Array.from({ length: 12 }, (_, i) => patternBlob(100_000 * i + i, i));
  const whats = blobs.map((bytes, i) => objects.add(`blob ${i}`, bytes, i % 2 ? 8192 : 1200));
  await eachWay(objects, async ({ consumer }) => {
    const twice = await Promise.all(
      [...whats, ...whats].map((what) => readAll(consumer.fetch(what, AbortSignal.timeout(15_000)))),
    );
    for (const [i, read] of twice.entries()) expect(read.equals(blobs[i % blobs.length]!)).toBe(true);
  });
});

test("an Interest for a number beyond the end is not answered", async () => {
  const objects = new ObjectsInMemory();
  const what = objects.add("blob", patternBlob(10_000));
  const producer = producerOf(objects);
  await using way = await inMemory(producer, { stallTimeoutMs: 100 });
  const beyond = { ...what, firstSegment: 5, lastSegment: 5, lastSegmentBytes: 1 };
  await expect(readAll(way.consumer.fetch(beyond, never))).rejects.toThrow(/segment 5 unanswered/);
  expect(producer.counters.segmentsSent).toBe(0);
});

/** The packet with another element at its end. */
function withElement(packet: Buffer, type: number): Buffer {
  const { type: outer, start, end } = readElements(packet)![0]!;
  return tlv(outer, packet.subarray(start, end), tlv(type, Buffer.of(1)));
}

test("an Interest with an unknown critical element is not answered, and another unknown one changes nothing", async () => {
  const objects = new ObjectsInMemory();
  const what = objects.add("blob", patternBlob(10_000));
  await using folder = await makeTemporaryFolder();
  const ways = ["tcp://127.0.0.1:0", unixUrl(folder.path), undefined];
  for (const way of ways) {
    const producer = producerOf(objects);
    await using opened = await (way ? overSocket(way, producer) : inMemory(producer));
    const interest = encodeInterest(joinName(what.object, segment(0)));
    for (const type of [0x1f, 0x0101, 0xf1, 0xf0]) opened.uplink.face!.send(withElement(interest, type));
    await until("the answer", () => producer.counters.segmentsSent > 0);
    expect(producer.counters).toMatchObject({ interests: 1, segmentsSent: 1 });
  }
});

test.each([
  [0xf0, "is taken"],
  [0xf1, "is dropped"],
  [0x1f, "is dropped"],
])("a segment with an unknown element of type %i %s", async (type, fate) => {
  const bytes = patternBlob(20_000);
  const objects = new ObjectsInMemory();
  const what = objects.add("blob", bytes);
  const changing = (next: PacketHandler): PacketHandler => ({
    accept(view, face) {
      const changed = withElement(view.buf.subarray(view.start, view.end), type);
      const copy = new PacketView();
      expect(copy.read(changed, 0, changed.length)).toBe(true);
      return next.accept(copy, face);
    },
  });
  await using way = await inMemory(producerOf(objects), { atConsumer: changing, stallTimeoutMs: 100 });
  const read = readAll(way.consumer.fetch(what, never));
  if (fate === "is taken") expect((await read).equals(bytes)).toBe(true);
  else await expect(read).rejects.toThrow(/segment 0 unanswered/);
});
