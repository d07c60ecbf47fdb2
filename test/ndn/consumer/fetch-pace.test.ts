import { setTimeout as delay } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { patternBlob } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { holdTime } from "../hold-time.ts";
import { inMemory, ObjectsInMemory, producerOf, readAll } from "../objects.ts";

const never = new AbortController().signal;
const bytes = patternBlob(20 * 1024 * 1024);

function oneBlob() {
  const objects = new ObjectsInMemory();
  const what = objects.add("blob", bytes);
  return { what, producer: producerOf(objects) };
}

test("a reader that stops reading bounds what is asked for, and gets the rest when it continues", async () => {
  const { what, producer } = oneBlob();
  await using way = await inMemory(producer);
  const chunks = way.consumer.fetch(what, never);
  const first = Buffer.from((await chunks.next()).value!);
  const sent = await until(
    "everything in flight to arrive",
    () => way.consumer.inflight === 0 && producer.counters.segmentsSent,
  );
  expect(sent).toBeGreaterThanOrEqual(1024); // 8 MiB in order,
  expect(sent).toBeLessThan(2 * 1024); // and what was on its way then
  const rest = await readAll(chunks);
  expect(Buffer.concat([first, rest]).equals(bytes)).toBe(true);
});

test("a reader that pauses longer than the stall timeout does not fail the fetch, and costs no Interests meanwhile", async () => {
  holdTime();
  const { what, producer } = oneBlob();
  await using way = await inMemory(producer, { stallTimeoutMs: 60 });
  const chunks = way.consumer.fetch(
    { ...what, alternative: Buffer.concat([what.object, Buffer.from("0801ff", "hex")]) },
    never,
  );
  let read = (await chunks.next()).value!.length;
  await until("everything in flight to arrive", () => way.consumer.inflight === 0);
  const before = way.consumer.counters.interests;
  await vi.advanceTimersByTimeAsync(1_200); // longer than stall timeout and RTO
  expect(way.consumer.counters.interests).toBe(before);
  read += (await chunks.next()).value!.length; // asks for more
  vi.advanceTimersByTime(10);
  for await (const chunk of chunks) read += chunk.length;
  expect(read).toBe(bytes.length);
});

test("a fetch that is complete but not yet read sends nothing more", async () => {
  const objects = new ObjectsInMemory();
  const what = objects.add("small", bytes.subarray(0, 400_000));
  await using way = await inMemory(producerOf(objects));
  const alternative = Buffer.concat([what.object, Buffer.from("0801ff", "hex")]);
  const chunks = way.consumer.fetch({ ...what, alternative }, never);
  await chunks.next();
  await until("everything to arrive", () => way.consumer.inflight === 0 && way.consumer.counters.segments > 48);
  const before = way.consumer.counters.interests;
  await delay(600); // longer than the RTO
  expect(way.consumer.counters.interests).toBe(before);
  await readAll(chunks);
});

test("an aborted fetch ends at once with the reason, whatever is held, and stops asking", async () => {
  const { what, producer } = oneBlob();
  await using way = await inMemory(producer);
  const abort = new AbortController();
  const chunks = way.consumer.fetch(what, abort.signal);
  await chunks.next();
  await until("blocks to be held", () => producer.counters.segmentsSent > 500);
  abort.abort(new Error("the reader went away"));
  await expect(chunks.next().then(({ done }) => done)).rejects.toThrow("the reader went away");
  expect(way.consumer.inflight).toBe(0);
  const before = way.consumer.counters.interests;
  await delay(50);
  expect(way.consumer.counters.interests).toBe(before);
});

test("a fetch that is aborted before it begins asks nothing", async () => {
  const { what, producer } = oneBlob();
  await using way = await inMemory(producer);
  await expect(readAll(way.consumer.fetch(what, AbortSignal.abort(new Error("no longer wanted"))))).rejects.toThrow(
    "no longer wanted",
  );
  expect(way.consumer.counters.interests).toBe(0);
});

test("leaving the loop early cancels the fetch", async () => {
  const { what, producer } = oneBlob();
  await using way = await inMemory(producer);
  for await (const _ of way.consumer.fetch(what, never)) break;
  expect(way.consumer.inflight).toBe(0);
});
