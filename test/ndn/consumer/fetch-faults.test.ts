import { describe, expect, test, vi } from "vitest";
import type { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import { FetchMemory } from "#ndn/consumer/fetch-memory.ts";
import { FetchFailed } from "#ndn/consumer/object-to-fetch.ts";
import { PrefixPath } from "#ndn/consumer/prefix-path.ts";
import { SegmentFetch } from "#ndn/consumer/segment-fetch.ts";
import type { Face, PacketHandler } from "#ndn/face/face.ts";
import { DataFields, SegmentDataEncoder } from "#ndn/packet/data.ts";
import { componentsOf, numberOf, startsWith } from "#ndn/packet/name.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { maxPacketBytes, TT } from "#ndn/packet/tlv.ts";
import type { ObjectDirectory } from "#ndn/producer.ts";
import { patternBlob } from "#test/support/registry.ts";
import { seededRandom, shuffled } from "#test/support/seeded-random.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { holdTime } from "../hold-time.ts";
import { inMemory, ObjectsInMemory, overSocket, producerOf, readAll, unixUrl } from "../objects.ts";

const bytes = patternBlob(3 * 1024 * 1024 + 17);
const patience = () => AbortSignal.timeout(15_000);

function oneBlob(segmentBytes = 8192) {
  const objects = new ObjectsInMemory();
  const what = objects.add("blob", bytes, segmentBytes);
  return { what, producer: producerOf(objects) };
}

/** Passes on only what `passes` lets through; the rest is lost. */
function lossy(next: PacketHandler, passes: () => boolean): PacketHandler {
  return { accept: (view, face) => !passes() || next.accept(view, face) };
}

function everySeventhLost(seed: number): () => boolean {
  const random = seededRandom(seed);
  return () => random() >= 1 / 7;
}

const silent: PacketHandler = { accept: () => true };

/** A copy of a packet that may be looked at later. */
function copyOf(view: PacketView): PacketView {
  const copy = new PacketView();
  const packet = Buffer.from(view.buf.subarray(view.start, view.end));
  copy.read(packet, 0, packet.length);
  return copy;
}

/** Hands on what came within one turn of the event loop in another order, some of it twice. */
function disorderly(consumer: SegmentConsumer): PacketHandler {
  const random = seededRandom(7);
  let held: PacketView[] = [];
  return {
    accept(view) {
      if (held.length === 0) {
        setImmediate(() => {
          const all = held;
          held = [];
          const some = all.filter(() => random() < 0.3);
          for (const one of shuffled([...all, ...some], random)) consumer.accept(one);
        });
      }
      held.push(copyOf(view));
      return true;
    },
  };
}

/** In front of each Data, the same one with a payload that is too short, too long, or of another type. */
function wrongSizesFirst(consumer: SegmentConsumer): PacketHandler {
  return {
    accept(view) {
      const name = Buffer.from(view.buf.subarray(view.nameStart, view.nameEnd));
      const last = componentsOf(name)!.at(-1)!;
      const encoder = new SegmentDataEncoder(name.subarray(0, last.at), 999_999, 1_000);
      for (const size of [0, 1, 1199, 1201, 8191, 8193]) {
        const out = Buffer.alloc(9_000, 0xee);
        const forged = new PacketView();
        forged.read(out, 0, encoder.write(out, 0, numberOf(name, last), Buffer.alloc(size, 0xee), 0, size));
        consumer.accept(forged);
      }
      return consumer.accept(view);
    },
  };
}

describe("the bytes are right", () => {
  test("although every seventh Interest is lost", async () => {
    const { what, producer } = oneBlob();
    await using way = await inMemory(lossy(producer, everySeventhLost(1)));
    expect((await readAll(way.consumer.fetch(what, patience()))).equals(bytes)).toBe(true);
    expect(way.consumer.counters.retransmissions).toBeGreaterThan(20);
  });

  test("although every seventh Data is lost", async () => {
    const { what, producer } = oneBlob();
    await using way = await inMemory(producer, { atConsumer: (consumer) => lossy(consumer, everySeventhLost(2)) });
    expect((await readAll(way.consumer.fetch(what, patience()))).equals(bytes)).toBe(true);
  });

  test("although Data come twice and in another order", async () => {
    const { what, producer } = oneBlob();
    await using way = await inMemory(producer, { atConsumer: disorderly });
    expect((await readAll(way.consumer.fetch(what, patience()))).equals(bytes)).toBe(true);
  });

  test.each([8192, 1200])("although payloads of other sizes than %d come first", async (segmentBytes) => {
    const { what, producer } = oneBlob(segmentBytes);
    await using way = await inMemory(producer, { atConsumer: wrongSizesFirst });
    expect((await readAll(way.consumer.fetch(what, patience()))).equals(bytes)).toBe(true);
  });

  test("although the object is silent until its alternative name has been asked", async () => {
    const objects = new ObjectsInMemory();
    const what = objects.add("blob", bytes);
    const alternative = objects.add("plain", bytes).object;
    let isTaught = false;
    const forgetful: ObjectDirectory = {
      lookup(name) {
        isTaught ||= startsWith(name, alternative);
        return isTaught ? objects.lookup(name) : undefined;
      },
    };
    await using way = await inMemory(producerOf(forgetful));
    const read = await readAll(way.consumer.fetch({ ...what, alternative }, patience()));
    expect(read.equals(bytes)).toBe(true);
  });
});

describe("a fetch fails", () => {
  test("within the stall bound when no one answers", async () => {
    await using way = await inMemory(silent, { stallTimeoutMs: 150 });
    const began = performance.now();
    await expect(readAll(way.consumer.fetch(oneBlob().what, patience()))).rejects.toThrow(FetchFailed);
    expect(performance.now() - began).toBeLessThan(1_500);
  });

  test("within the stall bound when the answers stop in the middle, and keeps what it has", async () => {
    holdTime();
    const { what, producer } = oneBlob();
    let left = 100;
    await using way = await inMemory(
      lossy(producer, () => left-- > 0),
      { stallTimeoutMs: 150 },
    );
    const chunks: Buffer[] = [];
    const reading = (async () => {
      for await (const chunk of way.consumer.fetch(what, patience())) chunks.push(Buffer.from(chunk));
    })();
    await until("the last answer", () => way.consumer.counters.segments === 100);
    vi.advanceTimersByTime(200);
    await expect(reading).rejects.toThrow(/segment 100 unanswered/);
    const kept = Buffer.concat(chunks);
    expect(kept).toHaveLength(100 * 8192);
    expect(kept.equals(bytes.subarray(0, kept.length))).toBe(true);
  });

  test("within some stall bounds when only its alternative name is answered: one segment in each timeout is no progress", () => {
    const objects = new ObjectsInMemory();
    const what = objects.add("blob", bytes);
    const alternative = objects.add("plain", bytes).object;
    const path = new PrefixPath({ maxWindow: 64 });
    const fetch = new SegmentFetch({ ...what, alternative }, 0, path, new FetchMemory());
    const [view, fields] = [new PacketView(), new DataFields()];
    /** Ask for a segment, probe, and have the answer come under this name. @returns when there was progress last. */
    const probe = (object: Buffer, nowMs: number): number => {
      const n = fetch.nextToAsk(1); // never as if nothing was in flight
      const packet = Buffer.alloc(maxPacketBytes);
      const end = new SegmentDataEncoder(object, what.lastSegment, 1_000).write(packet, 0, n, bytes, 0, 8192);
      fetch.probed(nowMs);
      view.read(packet, 0, end);
      fields.read(view);
      fetch.arrived(n, view, fields, nowMs);
      return fetch.progressAtMs;
    };
    fetch.nextToAsk(1);
    expect([10, 20, 30, 40, 50].map((nowMs) => probe(alternative, nowMs))).toEqual([10, 20, 30, 30, 30]);
    expect([60, 70].map((nowMs) => probe(what.object, nowMs))).toEqual([60, 70]);
    expect(probe(alternative, 80)).toBe(80);
  });

  test("when the face goes down mid-way", async () => {
    await using folder = await makeTemporaryFolder();
    const { what, producer } = oneBlob();
    let left = 100;
    let far: Face | undefined;
    const breaking: PacketHandler = {
      accept(view, face) {
        far = face;
        return left-- <= 0 || producer.accept(view, face);
      },
    };
    await using way = await overSocket(unixUrl(folder.path), breaking);
    const reading = readAll(way.consumer.fetch(what, patience()));
    reading.catch(() => undefined);
    await until("some segments", () => left <= 0);
    far!.close();
    await expect(reading).rejects.toThrow(/face went down/);
  });

  test("at once when no face is up", async () => {
    const way = await inMemory(silent);
    await way[Symbol.asyncDispose]();
    await expect(readAll(way.consumer.fetch(oneBlob().what, patience()))).rejects.toThrow("no face is up");
  });

  test("at once when the forwarder has no route", async () => {
    const nacking: PacketHandler = {
      accept(view, face) {
        const interest = view.buf.subarray(view.start, view.end);
        const nack = Buffer.from("fd032005fd03210196", "hex");
        const length = nack.length + 1 + 1 + interest.length;
        face.send(
          Buffer.concat([Buffer.of(TT.LpPacket, length), nack, Buffer.of(TT.LpFragment, interest.length), interest]),
        );
        return true;
      },
    };
    await using way = await inMemory(nacking);
    await expect(readAll(way.consumer.fetch(oneBlob().what, patience()))).rejects.toThrow(/no route/);
    expect(way.consumer.counters.nacks).toBeGreaterThan(0);
  });
});
