import { expect, test } from "vitest";
import { NdnSource } from "#blob/ndn-source.ts";
import { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import { InterestClient } from "#ndn/consumer/interest-client.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { parseName } from "#ndn/packet/name.ts";
import { SigningServer } from "#test/client/pointers/signing-server.ts";

const prefix = parseName("/test/registry");

test.each([
  [false, 1],
  [true, 3],
])("an object that a pointer names is read in small segments where fragments get lost: %s", async (loses, segments) => {
  const server = await SigningServer.start(prefix);
  const bytes = Buffer.alloc(3_000, "object");
  const digest = server.has(bytes);
  const uplink = new MemoryUplink(server.producer);
  const consumer = new SegmentConsumer(uplink, {});
  uplink.addHandler(consumer);
  const source = new NdnSource(prefix, new InterestClient(uplink), consumer, undefined, () => loses);
  uplink.open();
  const object = { digest, sizeBytes: bytes.length, segmentBytes: 8192, repository: "team/app" } as const;
  const pieces: Buffer[] = [];
  for await (const piece of source.openObject(object, AbortSignal.timeout(10_000)).chunks)
    pieces.push(Buffer.from(piece));
  expect(Buffer.concat(pieces)).toEqual(bytes);
  expect(new Set(server.asked)).toEqual(new Set(["segment"]));
  expect(server.asked.length).toBeGreaterThanOrEqual(segments);
  uplink.close();
});
