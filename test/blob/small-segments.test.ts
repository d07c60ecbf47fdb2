/** Which size of segments a client asks for. */
import { expect, test } from "vitest";
import { parseBlobName, type SegmentSize } from "#blob/names.ts";
import { NdnSource } from "#blob/ndn-source.ts";
import { fromStart } from "#blob/source.ts";
import { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import { InterestClient } from "#ndn/consumer/interest-client.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import type { PacketView } from "#ndn/packet/packet-view.ts";
import { prefix, serve } from "#test/publish/serving.ts";
import { patternBlob, startRegistry } from "#test/support/registry.ts";

const repository = "team/app";

test.each([
  [8192, false, 8192],
  [8192, true, 1200],
  [1200, false, 1200],
  [1200, true, 1200],
] as const)(
  "where metadata proposes %i and that fragments get lost is %j, segments of %i are asked for",
  async (segmentBytes, isLossy, expected) => {
    await using owned = new AsyncDisposableStack();
    const registry = await startRegistry();
    owned.defer(() => registry.close());
    const serving = owned.use(await serve(registry, { segmentBytes }));
    const sizes = new Set<SegmentSize>();
    const uplink = new MemoryUplink({
      accept(view: PacketView, face) {
        const request = parseBlobName(prefix, Buffer.from(view.buf.subarray(view.nameStart, view.nameEnd)));
        if (request?.kind === "segment") sizes.add(request.size);
        return serving.server.producer.accept(view, face);
      },
    });
    const consumer = new SegmentConsumer(uplink, { maxWindow: 512 });
    uplink.addHandler(consumer);
    const source = new NdnSource(prefix, new InterestClient(uplink), consumer, undefined, () => isLossy);
    uplink.open();
    owned.defer(() => uplink.close());
    for (const size of [0, 100, 100_000]) {
      const bytes = patternBlob(size, segmentBytes);
      sizes.clear();
      const { sizeBytes, chunks } = await source.open(
        { repository, digest: registry.addBlob(repository, bytes) },
        fromStart,
        AbortSignal.timeout(10_000),
      );
      const read: Buffer[] = [];
      for await (const chunk of chunks) read.push(Buffer.from(chunk));
      expect(sizeBytes).toBe(size);
      expect(Buffer.concat(read).equals(bytes)).toBe(true);
    }
    expect(sizes).toEqual(new Set([expected]));
  },
);
