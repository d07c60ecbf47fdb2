import { setImmediate, setTimeout } from "node:timers/promises";
import { Component, Interest, Name as NdnName } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import { afterEach, beforeEach, expect, test } from "vitest";
import { InterestClient, type InterestOptions, type RetryLimits } from "#ndn/consumer/interest-client.ts";
import { RetrySchedule } from "#ndn/consumer/retry-schedule.ts";
import type { PacketHandler } from "#ndn/face/face.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { encodeInterest } from "#ndn/packet/interest.ts";
import { fullName, nameKey, parseName } from "#ndn/packet/name.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { TT, tlv } from "#ndn/packet/tlv.ts";
import { until } from "#test/support/until.ts";
import { Authority } from "../trust/authority.ts";
import { forgeryOf } from "../trust/forged.ts";

const never = new AbortController().signal;
const nullSignature = Buffer.from("16031b01c81700", "hex");
const name = parseName("/A");
const long: RetryLimits = { timeoutMs: 10_000 };

let asked: Interest[];
let answers: (interest: Buffer) => readonly Buffer[];
let uplink: MemoryUplink;
let interests: InterestClient;

beforeEach(() => {
  asked = [];
  answers = () => [];
  const peer: PacketHandler = {
    accept({ buf, start, end }, face) {
      const interest = Buffer.from(buf.subarray(start, end));
      asked.push(new Decoder(interest).decode(Interest));
      for (const packet of answers(interest)) face.send(packet);
      return true;
    },
  };
  uplink = new MemoryUplink(peer);
  interests = new InterestClient(uplink);
  uplink.open();
});
afterEach(() => uplink.close());

function data(of: string | Uint8Array, content = "x"): Buffer {
  const named = typeof of === "string" ? parseName(of) : of;
  return tlv(TT.Data, tlv(TT.Name, named), tlv(TT.Content, Buffer.from(content)), nullSignature);
}

/** A packet as a face gives it to its handlers. */
function viewOf(packet: Buffer): PacketView {
  const view = new PacketView();
  expect(view.read(packet, 0, packet.length)).toBe(true);
  return view;
}

/** The Interest as a network Nack. */
function nack(interest: Buffer, reason: number): Buffer {
  const header = tlv(TT.Nack, tlv(0x0321, Buffer.of(reason)));
  return tlv(TT.LpPacket, header, tlv(TT.LpFragment, interest));
}

function ask(options?: InterestOptions, limits: RetryLimits = long, signal = never): Promise<Buffer> {
  return interests.express(name, limits, signal, options);
}

test("what is below the name answers, and the Interest says so", async () => {
  answers = () => [data("/AB"), data("/"), data("/A/1")];
  expect((await ask()).equals(data("/A/1"))).toBe(true);
  const [interest] = asked;
  expect(interest).toMatchObject({ canBePrefix: true, mustBeFresh: true, lifetime: 10_000 });
  expect(Buffer.from(interest!.name.value).equals(name)).toBe(true);
});

test("an exact Interest is only answered by its very name, fresh or not", async () => {
  answers = () => [data("/A/1"), data("/A")];
  const forwardingHint = parseName("/hint");
  const packet = await ask({ isExact: true, forwardingHint }, { timeoutMs: 1_000 });
  expect(packet.equals(data("/A"))).toBe(true);
  const [interest] = asked;
  expect(interest).toMatchObject({ canBePrefix: false, mustBeFresh: false, lifetime: 4_000 });
  expect(Buffer.from(interest!.fwHint!.delegations[0]!.value).equals(forwardingHint)).toBe(true);
});

test.each([true, false])("a unique Interest has a name that no one knows before (exact: %s)", async (isExact) => {
  answers = (interest) => [data("/A"), data(new Decoder(interest).decode(Interest).name.value, "unique")];
  for (let i = 0; i < 2; i++) {
    const packet = await ask({ isUnique: true, isExact });
    expect(packet.includes("unique")).toBe(true);
  }
  const [first, second] = asked;
  await first!.validateParamsDigest(); // NDNts finds the digest right
  expect(first!.name.getPrefix(-1).equals(new NdnName(name))).toBe(true);
  expect(first!.name.equals(second!.name)).toBe(false);
});

test("one packet answers all pending Interests for it; each was sent", async () => {
  answers = () => (asked.length < 3 ? [] : [data("/A")]);
  const all = await Promise.all([ask(), ask({ isExact: true }), ask()]);
  for (const packet of all) expect(packet.equals(data("/A"))).toBe(true);
  expect(asked).toHaveLength(3);
});

test("only the packet of that digest is an answer to an Interest by full name", async () => {
  const authority = await Authority.make("/example");
  const { wire, name: anchorName, digest } = authority.ours;
  const forged = await forgeryOf(authority.wire, await Authority.make("/example"));
  const sha256 = Buffer.from(digest.slice("sha256:".length), "hex");
  answers = () => [forged, wire];
  const both = [1, 2].map(() => interests.express(anchorName, long, never, { sha256 }));
  for (const packet of await Promise.all(both)) expect(packet.equals(wire)).toBe(true);
  expect(nameKey(Buffer.from(asked[0]!.name.value))).toBe(nameKey(fullName(anchorName, sha256)));
  expect(asked[0]!.name.at(-1).type).toBe(Component.from("1=x").type);
  answers = () => [forged];
  const limits = { timeoutMs: 200 };
  await expect(interests.express(anchorName, limits, never, { sha256 })).rejects.toThrow(/timeout/);
});

test("a Nack without a route ends every Interest with that name, and no other", async () => {
  answers = (interest) => (asked.length === 1 ? [] : [nack(interest, 150)]);
  const began = performance.now();
  const other = ask({ isUnique: true });
  const results = await Promise.allSettled([ask(), ask(), ask()]);
  for (const result of results) {
    expect(result).toMatchObject({ status: "rejected", reason: { message: expect.stringContaining("no route") } });
  }
  expect(performance.now() - began).toBeLessThan(900);
  uplink.close();
  await expect(other).rejects.toThrow("face went down");
});

test("other Nacks are asked again, with another Nonce", async () => {
  answers = (interest) => [asked.length === 1 ? nack(interest, 50) : data("/A")];
  await ask();
  expect(asked.length).toBeGreaterThan(1);
  expect(new Set(asked.map(({ nonce }) => nonce)).size).toBe(asked.length);
});

test("silence ends at the deadline, an abort at once with its reason, and then nothing is asked any more", async () => {
  const schedule = new RetrySchedule();
  schedule.answered(1, 1); // a short path: asked again after 20 and 60 ms
  await expect(ask({}, { timeoutMs: 120, schedule })).rejects.toThrow(/timeout/);
  asked.length = 0;
  const asker = new AbortController();
  const asking = ask({}, { ...long, schedule }, asker.signal);
  await until("a second Interest", () => asked.length > 1);
  asker.abort(new Error("no longer wanted"));
  await expect(asking).rejects.toThrow("no longer wanted");
  await expect(ask({}, long, asker.signal)).rejects.toThrow("no longer wanted");
  await setImmediate(); // what was sent before the abort arrives
  const before = asked.length;
  await setTimeout(100); // twice the time after which it would have been asked again
  expect(asked).toHaveLength(before);
  expect(interests.accept(viewOf(data("/A")))).toBe(false);
});

test("a Data that is malformed neither arrives nor closes the face", async () => {
  const bad = tlv(TT.Data, tlv(TT.Name, name), Buffer.from("15ff", "hex"));
  answers = () => [asked.length === 1 ? bad : data("/A")];
  expect((await ask({}, long)).equals(data("/A"))).toBe(true);
});

test("the end of the face ends pending Interests at once, and without one nothing can be asked", async () => {
  const asking = ask();
  uplink.close();
  await expect(asking).rejects.toThrow("face went down");
  await expect(ask()).rejects.toThrow("no face is up");
});

test("what no one has asked for is left to others, whatever it is", async () => {
  const asking = ask();
  await until("the Interest", () => asked.length === 1);
  const interest = tlv(TT.Interest, tlv(TT.Name, name), tlv(TT.Nonce, Buffer.alloc(4)));
  const goesOnLikeTheName = tlv(TT.Data, tlv(TT.Name), name, nullSignature);
  for (const packet of [data("/B"), goesOnLikeTheName, interest, nack(encodeInterest(parseName("/B")), 150)]) {
    expect(interests.accept(viewOf(packet))).toBe(false);
  }
  expect(interests.accept(viewOf(data("/A")))).toBe(true);
  await asking;
});

test("the answer stays as it is when the receive buffer is filled again", async () => {
  const asking = ask();
  await until("the Interest", () => asked.length === 1);
  const buffer = data("/A", "first");
  interests.accept(viewOf(buffer));
  buffer.fill(0);
  expect((await asking).equals(data("/A", "first"))).toBe(true);
});

test("a Nack ends an Interest by full name only when it names all of that", async () => {
  const sha256 = Buffer.alloc(32, 7);
  const asking = ask({ sha256 });
  await until("the Interest", () => asked.length === 1);
  expect(asked[0]).toMatchObject({ canBePrefix: false, mustBeFresh: false });
  expect(interests.accept(viewOf(nack(encodeInterest(name), 150)))).toBe(false);
  expect(interests.accept(viewOf(nack(encodeInterest(fullName(name, sha256)), 150)))).toBe(true);
  await expect(asking).rejects.toThrow("no route");
});

test("at each timeout the caller may have patience, and is told how long it has waited", async () => {
  const waited: number[] = [];
  const isPatient = (ms: number) => waited.push(ms) < 3;
  const asking = interests.express(name, { timeoutMs: 20, isPatient }, never);
  await expect(asking).rejects.toThrow("no answer within 60 ms");
  expect(waited).toEqual([20, 40, 60]);
  asked.length = 0;
  const answered = interests.express(name, { timeoutMs: 20, isPatient: () => true }, never);
  await until("a second Interest", () => asked.length > 1);
  answers = () => [data("/A")];
  expect(await answered).toEqual(data("/A"));
});
