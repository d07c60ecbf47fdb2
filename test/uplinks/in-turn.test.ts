import { expect, test, vi } from "vitest";
import { type BlobSource, BlobUnavailable, fromStart } from "#blob/source.ts";
import { blobOf, breaksAfter, holds, unavailable } from "#test/blob/faulty-sources.ts";
import { gated } from "#test/fetch/gated-source.ts";
import { until } from "#test/support/until.ts";
import { inTurn, type ReadOutlook } from "#uplinks/in-turn.ts";
import { Turns } from "#uplinks/turns.ts";

const blob = blobOf("in turn", 1_000_000);
const unknown: ReadOutlook = { sizeBytes: undefined, prepare: async () => undefined };
const never = new AbortController().signal;

function over(source: BlobSource, turns: Turns, outlook = unknown, isOfUse = () => true): BlobSource {
  return inTurn(source, turns, outlook, isOfUse);
}

async function readAll(source: BlobSource, from = fromStart): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const bytes of (await source.open(blob.ref, from, never)).chunks) pieces.push(Buffer.from(bytes));
  return Buffer.concat(pieces);
}

test("a read has its turn until its end, and all bytes come", async () => {
  const turns = new Turns({ size: 64 });
  const source = gated(blob);
  const reading = readAll(over(source, turns));
  await until("the source to be open", () => source.openedAt.length === 1);
  expect(turns.running).toBe(1);
  source.allow(1_000_000);
  expect(await reading).toEqual(blob.bytes);
  expect(turns.running).toBe(0);
});

test.each([
  ["cannot begin", unavailable()],
  ["breaks off", breaksAfter(500_000, blob)],
])("a source that %s ends its turn", async (_, source) => {
  const turns = new Turns({ size: 64 });
  await expect(readAll(over(source, turns))).rejects.toThrow(BlobUnavailable);
  expect([turns.running, turns.waiting]).toEqual([0, 0]);
});

test("a read that is left ends its turn, with and without a piece taken, and while it waits for one", async () => {
  const turns = new Turns({ size: 64 });
  const source = gated(blob);
  source.allow(100_000);
  const [unread, left, waiting] = Array.from({ length: 3 }, () => new AbortController());
  await over(source, turns).open(blob.ref, fromStart, unread!.signal);
  const some = await over(source, turns).open(blob.ref, fromStart, left!.signal);
  for await (const bytes of some.chunks) if (bytes.length > 0) break;
  const { chunks } = await over(source, turns).open(blob.ref, fromStart, waiting!.signal);
  const reading = Array.fromAsync(chunks);
  await until("a read to be left", () => turns.running === 2);
  unread!.abort(new Error("left"));
  waiting!.abort(new Error("left"));
  await expect(reading).rejects.toThrow("left");
  expect(turns.running).toBe(0);
});

test("a read that the upstream has won leaves the path at once", async () => {
  const turns = new Turns({ size: 64 });
  const won: BlobSource = {
    name: "ndn",
    open: async (...args) => ({ ...(await holds(blob, "upstream").open(...args)), source: "upstream" }),
  };
  const { source } = await over(won, turns).open(blob.ref, fromStart, never);
  expect([source, turns.running]).toEqual(["upstream", 0]);
});

test("those who wait do not ask a path that no one answers on any more, and do not wait any longer", async () => {
  const turns = new Turns({ size: 64 });
  let isOfUse = true;
  const source = gated(blob);
  const open = () => over(source, turns, unknown, () => isOfUse).open(blob.ref, fromStart, never);
  const [first] = await Promise.all(Array.from({ length: 8 }, open));
  const waiting = Array.from({ length: 20 }, open);
  const settled = Promise.allSettled(waiting);
  isOfUse = false;
  const reading = Array.fromAsync(first!.chunks);
  source.breakOff();
  await expect(reading).rejects.toThrow("broke off");
  for (const outcome of await settled) expect(outcome).toMatchObject({ reason: expect.any(BlobUnavailable) });
  expect([source.openedAt.length, turns.running, turns.waiting]).toEqual([8, 7, 0]);
});

test("what is asked before a read begins is asked while it waits, and what it tells is used", async () => {
  const turns = new Turns({ size: 64 });
  for (let i = 0; i < 8; i++) await over(gated(blob), turns).open(blob.ref, fromStart, never);
  const prepare = vi.fn(async () => 1_000);
  const source = holds(blob);
  expect(await readAll(over(source, turns, { sizeBytes: undefined, prepare }))).toEqual(blob.bytes);
  expect(prepare).toHaveBeenCalledOnce();
});

test("of a large blob a few bytes are a small read", async () => {
  const turns = new Turns({ size: 64 });
  for (let i = 0; i < 8; i++) await over(gated(blob), turns).open(blob.ref, fromStart, never);
  const part = over(holds(blob), turns, { ...unknown, sizeBytes: 1_000_000 });
  expect((await readAll(part, { offset: 900_000 })).length).toBe(100_000);
});
