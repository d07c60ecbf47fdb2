import { expect, test } from "vitest";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { SegmentDataEncoder } from "#ndn/packet/data.ts";
import { encodeInterest } from "#ndn/packet/interest.ts";
import { generic, joinName, parseName, segment } from "#ndn/packet/name.ts";
import { type SegmentedObject, SegmentProducer, type SegmentWaiter } from "#ndn/producer.ts";
import { until } from "#test/support/until.ts";

const prefix = parseName("/test");
const object = joinName(prefix, generic("object"));

/** An object whose payload is there once `read` is called. */
class SlowObject implements SegmentedObject {
  readonly encoder = new SegmentDataEncoder(object, 9, 1_000);
  readonly lastSegment = 9;
  readonly isCurrent = true;
  readonly loads: number[] = [];
  private isRead = false;
  private readonly waiting: SegmentWaiter[] = [];

  locate() {
    return this.isRead ? { buf: Buffer.from("x"), start: 0, end: 1 } : undefined;
  }

  load(n: number, waiter: SegmentWaiter): void {
    this.loads.push(n);
    this.waiting.push(waiter);
  }

  read(): void {
    this.isRead = true;
    for (const waiter of this.waiting.splice(0)) waiter.done();
  }
}

/** Someone on a face of their own, with what they have received. */
function askerOf(producer: SegmentProducer) {
  const uplink = new MemoryUplink(producer);
  const received: string[] = [];
  uplink.addHandler({
    accept(view) {
      received.push(view.buf.toString("hex", view.nameStart, view.nameEnd));
      return true;
    },
  });
  uplink.open();
  return {
    received,
    ask: (n: number) => uplink.face!.send(encodeInterest(joinName(object, segment(n)))),
    [Symbol.dispose]: () => uplink.close(),
  };
}

test("a segment that is asked for again while it is read is answered once on each face", async () => {
  const slow = new SlowObject();
  const opened = Promise.withResolvers<SegmentedObject>();
  const producer = new SegmentProducer(prefix, {
    lookup: (name) => ({
      key: "object",
      segment: { object, number: name.at(-1)! },
      answer: () => opened.promise,
    }),
  });
  using one = askerOf(producer);
  using other = askerOf(producer);
  const { counters } = producer;
  for (const n of [0, 1, 0, 0]) one.ask(n);
  other.ask(0);
  await until("the first Interests", () => counters.interests === 5);
  opened.resolve(slow);
  await until("the segments to be read", () => slow.loads.length === 2);
  for (const n of [0, 1, 2]) one.ask(n);
  await until("the other Interests", () => counters.interests === 8);
  expect(slow.loads).toEqual([0, 1, 2]);
  slow.read();
  await until("the answers", () => one.received.length === 3 && other.received.length === 1);
  expect(counters.segmentsSent).toBe(4);
  one.ask(0);
  await until("what is read now to be answered at once", () => one.received.length === 4);
});
