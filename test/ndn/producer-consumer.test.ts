import { expect, test } from "vitest";
import { patternBlob } from "#test/support/registry.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
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
