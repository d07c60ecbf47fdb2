import { hash } from "node:crypto";
import { expect, test } from "vitest";
import { FetchFailed, type ObjectToFetch } from "#ndn/consumer/object-to-fetch.ts";
import type { Repair, SegmentCheck } from "#ndn/consumer/segment-check.ts";
import type { PacketHandler } from "#ndn/face/face.ts";
import { SegmentDataEncoder } from "#ndn/packet/data.ts";
import { componentsOf, numberOf } from "#ndn/packet/name.ts";
import { maxPacketBytes, TT } from "#ndn/packet/tlv.ts";
import { patternBlob } from "#test/support/registry.ts";
import { inMemory, ObjectsInMemory, producerOf, readAll } from "../objects.ts";

const bytes = patternBlob(3 * 1024 * 1024 + 17);
const patience = () => AbortSignal.timeout(15_000);
const groupSegments = 100;

/** A check that knows all digests once `reveal` was called, and what it was told. */
function checkOf(what: ObjectToFetch, options: { repairs?: boolean; known?: boolean } = {}) {
  const encoder = new SegmentDataEncoder(what.object, what.lastSegment, 1_000);
  const packet = Buffer.alloc(maxPacketBytes);
  const digests = Array.from({ length: what.lastSegment + 1 }, (_, n) => {
    const [start, end] = [n * what.segmentBytes, Math.min(bytes.length, (n + 1) * what.segmentBytes)];
    return hash("sha256", packet.subarray(0, encoder.write(packet, 0, n, bytes, start, end)), "hex");
  });
  let isKnown = options.known ?? true;
  const wrong: number[] = [];
  const repaired: [number, Repair][] = [];
  const check: SegmentCheck = {
    encoder,
    expect: () => {},
    digestOf: (n) => (isKnown ? digests[n] : undefined),
    groupOf: (n) => Math.floor(n / groupSegments),
    repair: async (n) =>
      options.repairs ? bytes.subarray(n * what.segmentBytes, (n + 1) * what.segmentBytes) : undefined,
    onWrong: (n) => wrong.push(n),
    onRepaired: (n, how) => repaired.push([n, how]),
    listener: undefined,
  };
  const reveal = () => {
    isKnown = true;
    check.listener!();
  };
  return { check, wrong, repaired, reveal };
}

/** A cache on the way that has forged packets under the plain names of some segments; a full name passes it by. */
function poisonedCache(
  next: PacketHandler,
  what: ObjectToFetch,
  isForged: (n: number) => boolean,
  options: { alsoFullNames?: boolean } = {},
) {
  const encoder = new SegmentDataEncoder(what.object, what.lastSegment, 1_000);
  const packet = Buffer.alloc(maxPacketBytes);
  const junk = Buffer.alloc(what.segmentBytes, 0x66);
  const asked: number[] = [];
  const handler: PacketHandler = {
    accept(view, face) {
      const name = Buffer.from(view.buf.subarray(view.nameStart, view.nameEnd));
      const components = componentsOf(name)!;
      const isFull = components.at(-1)!.type === TT.ImplicitSha256DigestComponent;
      const n = numberOf(name, components.at(isFull ? -2 : -1)!);
      asked.push(n);
      if (!isForged(n) || (isFull && !options.alsoFullNames)) return next.accept(view, face);
      const size = n === what.lastSegment ? what.lastSegmentBytes : what.segmentBytes;
      face.send(Buffer.from(packet.subarray(0, encoder.write(packet, 0, n, junk, 0, size))));
      return true;
    },
  };
  return { handler, asked };
}

async function fetchThrough(
  isForged: (n: number) => boolean,
  { alsoFullNames, ...options }: { alsoFullNames?: boolean; repairs?: boolean; known?: boolean } = {},
) {
  const objects = new ObjectsInMemory();
  const what = objects.add("blob", bytes);
  const checking = checkOf(what, options);
  const cache = poisonedCache(producerOf(objects), what, isForged, { alsoFullNames: alsoFullNames ?? false });
  const way = await inMemory(cache.handler, { stallTimeoutMs: 2_000 });
  const fetching = readAll(way.consumer.fetch({ ...what, check: checking.check }, patience()));
  return { ...checking, ...cache, what, fetching, way };
}

test("the right bytes pass, and nothing is asked twice", async () => {
  await using run = await opened(() => false);
  expect((await run.fetching).equals(bytes)).toBe(true);
  expect([run.wrong, run.asked.length]).toEqual([[], run.what.lastSegment + 1]);
});

test("a forged segment is asked once more by its full name, and only that one", async () => {
  await using run = await opened((n) => n === 0 || n === 200);
  expect((await run.fetching).equals(bytes)).toBe(true);
  expect(run.repaired).toEqual([
    [0, "implicit-digest"],
    [200, "implicit-digest"],
  ]);
  expect(run.asked.length).toBe(run.what.lastSegment + 3);
});

test("when all segments are forged, most are asked by their full name at once", async () => {
  await using run = await opened(() => true);
  expect((await run.fetching).equals(bytes)).toBe(true);
  expect(run.asked.length).toBeLessThan(2 * (run.what.lastSegment + 1));
});

test("a segment that is forged under its full name as well comes from elsewhere", async () => {
  await using run = await opened((n) => n === 7, { alsoFullNames: true, repairs: true });
  expect((await run.fetching).equals(bytes)).toBe(true);
  expect(run.repaired).toEqual([[7, "elsewhere"]]);
});

test("with nothing right anywhere the fetch fails, and gives out what comes before", async () => {
  await using run = await opened((n) => n === 32, { alsoFullNames: true });
  await expect(run.fetching).rejects.toThrow(FetchFailed);
});

test("nothing leaves before its digest is known, and forged ones that came before it are replaced", async () => {
  await using run = await opened((n) => n === 3 || n === 50, { known: false });
  let isDone = false;
  void run.fetching.then(() => {
    isDone = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([isDone, run.wrong]).toEqual([false, []]);
  run.reveal();
  expect((await run.fetching).equals(bytes)).toBe(true);
  expect(run.repaired.map(([n]) => n).sort((a, b) => a - b)).toEqual([3, 50]);
});

test("digests that will never be known end the fetch", async () => {
  await using run = await opened(() => false, { known: false });
  run.check.listener!(new FetchFailed("no list"));
  await expect(run.fetching).rejects.toThrow("no list");
});

async function opened(...args: Parameters<typeof fetchThrough>) {
  const run = await fetchThrough(...args);
  run.fetching.catch(() => {});
  return { ...run, [Symbol.asyncDispose]: () => run.way[Symbol.asyncDispose]() };
}
