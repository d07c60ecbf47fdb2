/** How long a producer answers from an object without asking its directory again. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { SegmentDataEncoder } from "#ndn/packet/data.ts";
import { encodeInterest } from "#ndn/packet/interest.ts";
import { generic, joinName, parseName, segment } from "#ndn/packet/name.ts";
import { type ObjectDirectory, type SegmentedObject, SegmentProducer, type SegmentWaiter } from "#ndn/producer.ts";
import { until } from "#test/support/until.ts";

const prefix = parseName("/test");
const object = joinName(prefix, generic("object"));
const sweepMs = 30_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
});
afterEach(() => vi.useRealTimers());

/** An object of ten segments that may be lost, or get out of date. */
class Perishable implements SegmentedObject {
  readonly encoder = new SegmentDataEncoder(object, 9, 1_000);
  readonly lastSegment = 9;
  isCurrent = true;
  isReadable = true;

  locate() {
    return this.isReadable ? { buf: Buffer.from("x"), start: 0, end: 1 } : undefined;
  }

  load(_: number, waiter: SegmentWaiter): void {
    waiter.done();
  }
}

/** A producer whose directory gives these objects, one for each time that it is asked. */
function askerOf(objects: readonly SegmentedObject[]) {
  const left = [...objects];
  const directory: ObjectDirectory = {
    lookup: () => ({ key: "object", segment: { object, number: 0 }, answer: async () => left.shift() }),
  };
  const producer = new SegmentProducer(prefix, directory);
  const uplink = new MemoryUplink(producer);
  let answers = 0;
  uplink.addHandler({
    accept() {
      answers++;
      return true;
    },
  });
  uplink.open();
  const send = () => uplink.face!.send(encodeInterest(joinName(object, segment(0))));
  return {
    /** Objects that the directory still has. */
    left,
    async askInVain(): Promise<void> {
      const { interests } = producer.counters;
      send();
      await until("the Interest to be seen", () => producer.counters.interests > interests);
    },
    async ask(): Promise<void> {
      const before = answers;
      send();
      await until("an answer", () => answers > before);
    },
    [Symbol.dispose]: () => uplink.close(),
  };
}

test("an object that is no longer current is looked up again within half a minute", async () => {
  const first = new Perishable();
  using asker = askerOf([first, new Perishable()]);
  await asker.ask();
  vi.advanceTimersByTime(sweepMs);
  await asker.ask();
  expect(asker.left).toHaveLength(1);
  first.isCurrent = false;
  vi.advanceTimersByTime(sweepMs);
  await asker.ask();
  expect(asker.left).toHaveLength(0);
});

test("an object that is lost while it is read is looked up again for the next Interest", async () => {
  const first = new Perishable();
  using asker = askerOf([first, new Perishable()]);
  await asker.ask();
  first.isReadable = false;
  await asker.askInVain();
  expect(asker.left).toHaveLength(1); // a read may fail now and then
  first.isCurrent = false;
  await asker.askInVain();
  await asker.ask();
  expect(asker.left).toHaveLength(0);
});

test("nothing is looked through while nothing is open", async () => {
  const first = new Perishable();
  using asker = askerOf([first]);
  expect(vi.getTimerCount()).toBe(0);
  await asker.ask();
  expect(vi.getTimerCount()).toBe(1);
  first.isCurrent = false;
  vi.advanceTimersByTime(sweepMs);
  expect(vi.getTimerCount()).toBe(0);
});
