import { expect, test } from "vitest";
import { ControlPlane } from "#ndn/control-plane.ts";
import type { PacketHandler } from "#ndn/face.ts";
import { MemoryUplink } from "#ndn/memory-face.ts";
import { parseName } from "#ndn/name.ts";
import { TT, tlv } from "#ndn/tlv.ts";

const never = new AbortController().signal;

/** Answers every Interest with this. */
function answering(answer: (interest: Buffer) => Buffer | undefined): PacketHandler {
  return {
    accept(view, face) {
      const packet = answer(view.buf.subarray(view.start, view.end));
      if (packet) face.send(packet);
      return true;
    },
  };
}

/** The Interest as a network Nack. */
function nack(interest: Buffer, reason: number): Buffer {
  const header = tlv(TT.Nack, tlv(0x0321, Buffer.of(reason)));
  return tlv(TT.LpPacket, header, tlv(TT.LpFragment, interest));
}

function open(handler: PacketHandler) {
  const uplink = new MemoryUplink(handler);
  const control = new ControlPlane(uplink);
  uplink.open();
  return { control, [Symbol.dispose]: () => uplink.close() };
}

test("a Nack without a route ends the question of everybody who asks", async () => {
  using way = open(answering((interest) => nack(interest, 150)));
  const began = performance.now();
  const asked = [1, 2, 3].map(() => way.control.express(parseName("/A"), 1_000, 3_000, never));
  for (const result of await Promise.allSettled(asked)) {
    expect(result).toMatchObject({ status: "rejected", reason: { message: expect.stringContaining("no route") } });
  }
  expect(performance.now() - began).toBeLessThan(900);
});

test("other Nacks are asked again after an RTO", async () => {
  let asked = 0;
  using way = open(answering((interest) => (asked++ === 0 ? nack(interest, 50) : undefined)));
  await expect(way.control.express(parseName("/A"), 100, 350, never)).rejects.toThrow();
  expect(asked).toBeGreaterThan(1);
});

test("silence ends at the deadline, an abort at once with its reason", async () => {
  using way = open(answering(() => undefined));
  await expect(way.control.express(parseName("/A"), 50, 120, never)).rejects.toThrow(/timeout/i);
  const abort = new AbortController();
  const asking = way.control.express(parseName("/A"), 1_000, 10_000, abort.signal);
  abort.abort(new Error("no longer wanted"));
  await expect(asking).rejects.toThrow("no longer wanted");
});

test("a Data that is malformed neither arrives nor closes the face", async () => {
  let asked = 0;
  const good = tlv(TT.Data, tlv(TT.Name, parseName("/A")), Buffer.from("15014116031b01c81700", "hex"));
  const bad = tlv(TT.Data, tlv(TT.Name, parseName("/A")), Buffer.from("14ff", "hex"));
  using way = open(answering(() => (asked++ === 0 ? bad : good)));
  const data = await way.control.express(parseName("/A"), 100, 2_000, never);
  expect(Buffer.from(data.content).toString()).toBe("A");
});

test("the end of the face ends the question at once", async () => {
  using way = open(answering(() => undefined));
  const began = performance.now();
  const asking = way.control.express(parseName("/A"), 1_000, 10_000, never);
  way[Symbol.dispose]();
  await expect(asking).rejects.toThrow("face went down");
  expect(performance.now() - began).toBeLessThan(5_000);
});
