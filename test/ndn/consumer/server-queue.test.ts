import { setImmediate as turn } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { FetchFailed, type ObjectToFetch } from "#ndn/consumer/object-to-fetch.ts";
import { componentsOf, numberOf } from "#ndn/packet/name.ts";
import { patternBlob } from "#test/support/registry.ts";
import { holdTime } from "../hold-time.ts";
import { inMemory, ObjectsInMemory, producerOf, readAll } from "../objects.ts";
import { copyOf, WithholdingProducer } from "../withholding-producer.ts";

const bytes = patternBlob(3 * 1024 * 1024 + 17);
const never = new AbortController().signal;

/** Objects of one server that holds some of them, and a consumer whose time stands still. */
async function server(objects: number) {
  holdTime();
  const all = new ObjectsInMemory();
  const producer = new WithholdingProducer(producerOf(all));
  const way = await inMemory(producer);
  const path = way.consumer.newPath();
  const whats = Array.from({ length: objects }, (_, i) => ({ ...all.add(`blob ${i}`, bytes), path }));
  return { way, producer, whats, consumer: way.consumer, [Symbol.asyncDispose]: () => way[Symbol.asyncDispose]() };
}

/** Let so much time pass in steps of 10 ms, and what is sent arrive in each. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10) {
    vi.advanceTimersByTime(10);
    for (let i = 0; i < 4; i++) await turn();
  }
}

test("a blob that the server lets wait for 3 s costs the nine others nothing, and is asked for again a few times only", async () => {
  await using all = await server(10);
  const { consumer, producer, whats } = all;
  const [slow, ...fast] = whats as [ObjectToFetch, ...ObjectToFetch[]];
  producer.hold(slow.object);
  const slowRead = readAll(consumer.fetch(slow, never));
  const began = performance.now();
  const read = await Promise.all(fast.map((what) => readAll(consumer.fetch(what, never))));
  expect(read.every((one) => one.equals(bytes))).toBe(true);
  expect(performance.now() - began).toBe(0); // no timer had to help
  await pass(3_000);
  expect(consumer.counters.retransmissions).toBeLessThanOrEqual(4);
  producer.release(slow.object);
  expect((await slowRead).equals(bytes)).toBe(true);
  expect(consumer.counters.retransmissions).toBeLessThanOrEqual(0.01 * consumer.counters.interests);
});

test("many blobs that wait do not take the window of one that comes later", async () => {
  await using all = await server(65);
  const { consumer, producer, whats } = all;
  const [fast, warm, ...slow] = whats as [ObjectToFetch, ObjectToFetch, ...ObjectToFetch[]];
  for (const { object } of slow) producer.hold(object);
  const abort = new AbortController();
  const waiting = slow.map((what) => readAll(consumer.fetch(what, abort.signal)));
  for (const one of waiting) one.catch(() => undefined);
  expect((await readAll(consumer.fetch(warm, never))).equals(bytes)).toBe(true);
  await pass(20);
  const began = performance.now();
  expect((await readAll(consumer.fetch(fast, never))).equals(bytes)).toBe(true);
  expect(performance.now() - began).toBe(0);
  abort.abort();
  await Promise.allSettled(waiting);
  expect([consumer.inflight, consumer.hungry]).toEqual([0, 0]);
});

test("a server that gives one page of a blob each second is not asked for anything twice", async () => {
  await using all = await server(2);
  const { consumer, producer, whats } = all;
  const [slow, other] = whats as [ObjectToFetch, ObjectToFetch];
  await readAll(consumer.fetch(other, never));
  producer.hold(slow.object);
  const reading = readAll(consumer.fetch(slow, never));
  let isRead = false;
  void reading.then(() => {
    isRead = true;
  });
  for (let second = 0; !isRead; second++) {
    await pass(1_000);
    producer.pass(slow.object, 32);
    expect(second).toBeLessThan(40);
  }
  expect((await reading).equals(bytes)).toBe(true);
  expect(consumer.counters.retransmissions).toBeLessThanOrEqual(8);
});

test("a blob is waited for while its server answers for others, for 15 s", async () => {
  await using all = await server(3);
  const { consumer, producer, whats } = all;
  const [slow, trickle, other] = whats as [ObjectToFetch, ObjectToFetch, ObjectToFetch];
  for (const { object } of [slow, trickle]) producer.hold(object);
  const reading = readAll(consumer.fetch(slow, never));
  const trickling = readAll(consumer.fetch(trickle, never));
  let failure: unknown;
  reading.catch((err: unknown) => {
    failure = err;
  });
  for (let second = 0; second < 14; second++) {
    await pass(1_000);
    producer.pass(trickle.object, 4);
    expect(failure).toBeUndefined();
  }
  await pass(1_500);
  expect(failure).toBeInstanceOf(FetchFailed);
  producer.release(trickle.object);
  expect((await trickling).equals(bytes)).toBe(true);
  expect((await readAll(consumer.fetch(other, never))).equals(bytes)).toBe(true);
});

test("blobs of a server that answers for none are given up after four RTOs, whatever else the uplink brings", async () => {
  await using all = await server(3);
  const { consumer, producer, whats } = all;
  const [slow, slower, other] = whats as [ObjectToFetch, ObjectToFetch, ObjectToFetch];
  for (const { object } of [slow, slower]) producer.hold(object);
  const reading = Promise.allSettled([slow, slower].map((what) => readAll(consumer.fetch(what, never))));
  const elsewhere = { ...other, path: consumer.newPath() };
  for (let i = 0; i < 5; i++) {
    await readAll(consumer.fetch(elsewhere, never));
    await pass(1_000);
  }
  expect((await reading).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});

test("a lost Interest among those of a blob that waits is found when the others are answered", async () => {
  await using all = await server(1);
  const { consumer, producer, whats } = all;
  const [what] = whats as [ObjectToFetch];
  producer.hold(what.object);
  const reading = readAll(consumer.fetch(what, never));
  await pass(5);
  producer.lose(what.object, 3);
  await pass(1_500);
  producer.release(what.object);
  await pass(500);
  expect((await reading).equals(bytes)).toBe(true);
});

test("segments that are far away are not taken for lost because others come from a cache on the way", async () => {
  holdTime();
  const all = new ObjectsInMemory();
  const large = patternBlob(20 * 1024 * 1024);
  const what = all.add("blob", large);
  const producer = producerOf(all);
  const far: (() => void)[] = [];
  await using way = await inMemory({
    accept(view, face) {
      if (view.buf[view.nameEnd - 1]! % 2 === 0) return producer.accept(view, face); // by segment number
      const copy = copyOf(view);
      const atMs = performance.now() + 100;
      const answer = () => void (performance.now() < atMs ? far.push(answer) : producer.accept(copy, face));
      far.push(answer);
      return true;
    },
  });
  let isRead = false;
  const reading = readAll(way.consumer.fetch(what, never)).finally(() => {
    isRead = true;
  });
  while (!isRead) {
    await pass(10);
    for (const answer of far.splice(0)) answer();
  }
  expect((await reading).equals(large)).toBe(true);
  expect(way.consumer.counters.retransmissions).toBeLessThan(0.12 * what.lastSegment); // until the longer one is known
});

test("what is lost at the end of a blob is there within one RTO", async () => {
  holdTime();
  const all = new ObjectsInMemory();
  const what = all.add("blob", bytes);
  const producer = producerOf(all);
  const isLost = new Set([1, 2, 3].map((last) => what.lastSegment + 1 - last));
  await using way = await inMemory({
    accept(view, face) {
      const name = view.buf.subarray(view.nameStart, view.nameEnd);
      return isLost.delete(numberOf(name, componentsOf(name)!.at(-1)!)) || producer.accept(view, face);
    },
  });
  const began = performance.now();
  let tookMs = 0;
  const reading = readAll(way.consumer.fetch(what, never)).finally(() => {
    tookMs = performance.now() - began;
  });
  while (tookMs === 0) await pass(10);
  expect((await reading).equals(bytes)).toBe(true);
  expect(tookMs).toBeLessThan(500);
});
