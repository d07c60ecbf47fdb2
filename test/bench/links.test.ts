import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { linkCharts } from "#bench/chart/link-charts.ts";
import { simulatedCharts } from "#bench/chart/simulated-charts.ts";
import { benchLinks, waysOf } from "#bench/links/link.ts";
import { lossName } from "#bench/links/ndn-row.ts";
import { timeline } from "#bench/links/notes.ts";
import { take } from "#bench/links/take.ts";
import { bytesAt, layBlobs } from "#bench/load/blobs.ts";
import { startNearCache } from "#bench/relays/near-cache.ts";
import { Timeline } from "#bench/relays/timeline.ts";
import { startWatchedLink } from "#bench/relays/watched-link.ts";
import { SegmentDataEncoder } from "#ndn/packet/data.ts";
import { SegmentInterestTemplate } from "#ndn/packet/interest.ts";
import { parseName } from "#ndn/packet/name.ts";
import { PacketScanner, PacketView } from "#ndn/packet/packet-view.ts";
import { readNni } from "#ndn/packet/tlv.ts";
import { listening } from "#test/support/listening.ts";
import { missingPrograms } from "#test/support/programs.ts";
import { useStage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";

const stage = useStage();
const segments = 300;
const payload = Buffer.alloc(8_000, 1);
const object = parseName("/bench/object");

/** Answers each Interest for a segment, and remembers which ones those were. */
async function startProducer(path: string): Promise<number[]> {
  const asked: number[] = [];
  const encoder = new SegmentDataEncoder(object, segments - 1, 1_000);
  const server = createServer((socket) => {
    onSegment(socket, (n) => {
      asked.push(n);
      const data = Buffer.alloc(encoder.sizeof(n, payload.length));
      encoder.write(data, 0, n, payload, 0, payload.length);
      socket.write(data);
    });
  });
  await once(server.listen(path), "listening");
  stage.own({ [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) });
  return asked;
}

/** Asks for all segments and resolves with those that came, in order. */
async function fetchAll(path: string): Promise<number[]> {
  const socket = connect(path);
  const got: number[] = [];
  onSegment(socket, (n) => got.push(n));
  const template = new SegmentInterestTemplate(object);
  const interests = Buffer.alloc(segments * template.maxBytes);
  let end = 0;
  for (let n = 0; n < segments; n++) end = template.write(interests, end, n);
  socket.write(interests.subarray(0, end));
  await until("all segments", () => got.length === segments);
  socket.destroy();
  return got;
}

function onSegment(socket: Socket, take: (n: number) => void): void {
  const view = new PacketView();
  const scanner = new PacketScanner((buf, start, end) => {
    expect(view.read(buf, start, end)).toBe(true);
    const numberStart = view.nameStart + object.length + 2;
    take(readNni(buf, numberStart, view.nameEnd));
  }, 8_800);
  socket.on("data", (chunk) => scanner.push(chunk as Buffer));
  socket.on("error", () => undefined);
}

test("a watched link knows what part of a packet is payload, and what came out of it when", async () => {
  const folder = await stage.newFolder("watched");
  const [target, listen] = [join(folder, "t.sock"), join(folder, "l.sock")];
  await startProducer(target);
  const down = { bitsPerSecond: 30e6, queueBytes: 10e6 };
  const relay = stage.own(await startWatchedLink({ listen, target, up: {}, down, seed: 1 }));
  await fetchAll(listen);
  const { packets, overflowed, payloadPart, timeline: line } = relay.counters;
  expect([packets, overflowed]).toEqual([segments, 0]);
  expect(payloadPart).toBeGreaterThan(0.98);
  expect(payloadPart).toBeLessThan(1);
  const bytes = line.bytes.reduce((sum, each) => sum + each, 0);
  expect((segments * payload.length) / bytes).toBeCloseTo(payloadPart, 2);
  expect(Math.max(...line.waitMs)).toBeGreaterThan(100); // of the 650 ms that all take
});

test("a near cache answers every second segment, once another client has fetched them", async () => {
  const folder = await stage.newFolder("cache");
  const [target, listen, filler] = ["t", "l", "f"].map((name) => join(folder, `${name}.sock`));
  const asked = await startProducer(target!);
  const ends = { listen: listen!, filler: filler!, target: target! };
  const ways = { up: { delayMs: 1 }, down: { delayMs: 99 } };
  const relay = stage.own(await startNearCache({ ...ends, ...ways, seed: 1 }));
  await fetchAll(filler!);
  expect(asked.splice(0)).toHaveLength(segments);
  const got = await fetchAll(listen!);
  const isEven = (n: number) => n % 2 === 0;
  expect(asked.some(isEven)).toBe(false);
  expect(asked).toHaveLength(segments / 2);
  expect(got.slice(0, segments / 2).every(isEven)).toBe(true); // they are there long before the others
  expect(relay.counters.packets).toBe(segments);
});

test("a time-line has few steps however long it is, and loses no byte", () => {
  const line = new Timeline();
  const packet = Buffer.alloc(1_000);
  for (let atMs = 0; atMs < 60_000; atMs += 10) {
    line.queued(atMs === 30_000 ? 7 : 1, atMs);
    line.delivered(packet, atMs);
  }
  const { bytes, waitMs, stepMs } = line.record();
  expect(bytes.length).toBeLessThanOrEqual(160);
  expect(bytes.length * stepMs).toBeGreaterThanOrEqual(60_000);
  expect(bytes.reduce((sum, each) => sum + each, 0)).toBe(6_000_000);
  expect(Math.max(...waitMs)).toBe(7);
});

test("a queue is half a bandwidth-delay product unless told otherwise, and 64 packets at least", () => {
  const link = { bitsPerSecond: 1e9, rttMs: 100, sizeBytes: 1, needed: [1, 1, 1] } as const;
  expect(waysOf(link).down).toMatchObject({ queueBytes: 6_250_000, queuePackets: 64, delayMs: 50, loss: 0 });
  expect(waysOf(link, { loss: 0.05, queueShare: 4 }).down).toMatchObject({ queueBytes: 50_000_000, loss: 0.05 });
});

test.skipIf(missingPrograms(["curl"]).length > 0)("a blob that takes too long counts as far as it came", async () => {
  const folder = await stage.newFolder("take");
  const [blob] = await layBlobs(folder, 1, 1_000_000, "thin");
  const start = await bytesAt(blob!, 0, 300_000);
  const server = createHttpServer((_, response) => {
    response.writeHead(200, { "Content-Length": 1_000_000 });
    response.write(start); // and no more
  });
  const { port, close } = await listening(server, () => server.closeAllConnections());
  const { bytes, seconds } = await take(folder, `http://127.0.0.1:${port}`, [blob!], 1);
  await close();
  expect(bytes).toBe(300_000);
  expect(seconds).toBeGreaterThan(0.9);
});

test("what else a link was like shares a row of charts", () => {
  const rows = ["1 Gbit/s, 100 ms, jitter of a quarter", "1 Gbit/s, 100 ms, 16 blobs at once"];
  const figures = rows.flatMap((row) => [
    { name: `${row}: ${timeline.rate}`, unit: "", median: 0, values: [0.5, 0.7] },
    { name: `${row}: ${timeline.step}`, unit: "", median: 0, values: [40] },
  ]);
  const [rate] = linkCharts(figures);
  expect(rate!.title).toBe("1 Gbit/s, 100 ms");
  expect(rate!.series.map(({ name }) => name)).toEqual(["jitter of a quarter", "16 blobs at once"]);
});

test("a row of charts has a line for each loss, in steps of one length", () => {
  const row = (loss: number) => lossName("direct face", benchLinks[3]!, loss);
  const figure = (name: string, values: number[]) => ({ name, unit: "", median: 0, values });
  const figures = [
    figure(`${row(0)}: ${timeline.rate}`, [0, 1, 1, 1]),
    figure(`${row(0)}: ${timeline.step}`, [20]),
    figure(`${row(0.01)}: ${timeline.rate}`, [0.5, 0.7]),
    figure(`${row(0.01)}: ${timeline.step}`, [40]),
  ];
  const [rate, wait, window, ...more] = linkCharts(figures);
  expect(more).toEqual([]);
  expect(rate).toMatchObject({ title: "100 Mbit/s, 40 ms, direct face", xs: [0, 0.04] });
  expect(rate!.series).toEqual([
    { name: "0 % lost", values: [0.5, 1] },
    { name: "1 % lost", values: [0.5, 0.7] },
  ]);
  expect([wait!.series[0]!.values, window!.series[0]!.values]).toEqual([[], []]);
});

test("simulated flows have a value for each moment since they began", () => {
  for (const { title, xs, series } of simulatedCharts()) {
    expect(series.length, title).toBeGreaterThan(0);
    for (const { values } of series) {
      expect(values, title).toHaveLength(xs.length);
      expect(values.slice(values.findIndex((value) => value !== undefined)), title).not.toContain(undefined);
    }
  }
});
