import { afterEach, beforeEach, expect, test } from "vitest";
import type { PacketHandler } from "#ndn/face.ts";
import { MemoryUplink } from "#ndn/memory-face.ts";
import { nameKey } from "#ndn/name.ts";
import { FullNameQuestions } from "#ndn/trust/full-name-questions.ts";
import { until } from "#test/support/until.ts";
import { Authority } from "./authority.ts";
import { forgeryOf } from "./forged.ts";

const never = new AbortController().signal;
let anchor: Authority["ours"];
let forged: Buffer;
let answers: Buffer[];
let asked: string[];
let uplink: MemoryUplink;
let questions: FullNameQuestions;

beforeEach(async () => {
  const authority = await Authority.make("/example");
  anchor = authority.ours;
  forged = await forgeryOf(authority.wire, await Authority.make("/example"));
  answers = [];
  asked = [];
  const peer: PacketHandler = {
    accept(view, face) {
      asked.push(nameKey(view.buf, view.nameStart, view.nameEnd));
      for (const packet of answers) face.send(packet);
      return true;
    },
  };
  uplink = new MemoryUplink(peer);
  questions = new FullNameQuestions(uplink);
  uplink.open();
});
afterEach(() => uplink.close());

const digest = () => Buffer.from(anchor.digest.slice("sha256:".length), "hex");
const ask = (rtoMs = 1_000, timeoutMs = 5_000, signal = never) =>
  questions.ask(anchor.name, digest(), rtoMs, timeoutMs, signal);

test("only the packet of that digest is an answer, and everybody who asks for it gets it", async () => {
  answers = [forged, anchor.wire];
  for (const packet of await Promise.all([ask(), ask()])) expect(packet.equals(anchor.wire)).toBe(true);
  const [name] = asked;
  expect(name).toBe(`${nameKey(anchor.name)}\x01\x20${digest().toString("latin1")}`);
});

test("it is asked again until the time is over, and another packet of the name is no answer", async () => {
  answers = [forged];
  await expect(ask(10, 200)).rejects.toThrow(/timeout/);
  expect(asked.length).toBeGreaterThan(2);
});

test("it ends with its signal, and asks no more", async () => {
  const asker = new AbortController();
  const asking = ask(10, 5_000, asker.signal);
  await until("the question", () => asked.length > 0);
  asker.abort(new Error("enough"));
  await expect(asking).rejects.toThrow("enough");
  answers = [anchor.wire];
  expect((await ask()).equals(anchor.wire)).toBe(true);
});

test("packets are left to those who asked by the name alone", async () => {
  const seen: number[] = [];
  uplink.addHandler({ accept: (view) => seen.push(view.type) > 0 });
  answers = [anchor.wire];
  await ask();
  expect(seen).toEqual([6]);
});
