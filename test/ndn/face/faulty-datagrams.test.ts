/** Objects over a UDP path that loses, doubles and reorders datagrams. */
import { afterEach, expect, test } from "vitest";
import { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import { acceptFaces } from "#ndn/face/accept-faces.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { type DatagramFaults, startDatagramRelay } from "#test/support/link/datagram-relay.ts";
import { patternBlob } from "#test/support/registry.ts";
import { ObjectsInMemory, producerOf, readAll, up } from "../objects.ts";

const bytes = patternBlob(2_000_000);
const objects = new ObjectsInMemory();
const what = objects.add("blob", bytes);
let owned = new AsyncDisposableStack();

afterEach(async () => {
  await owned.disposeAsync();
  owned = new AsyncDisposableStack();
});

async function connect(faults: DatagramFaults) {
  const listener = await acceptFaces(parseFaceUrl("udp://127.0.0.1:0"), [producerOf(objects)]);
  owned.defer(() => listener.close());
  const relay = owned.use(await startDatagramRelay(listener.port, faults, 7));
  const uplink = new SocketUplink(parseFaceUrl(`udp://127.0.0.1:${relay.port}`));
  const consumer = new SegmentConsumer(uplink, { maxWindow: 64 });
  uplink.addHandler(consumer);
  uplink.open();
  owned.defer(() => uplink.close());
  await up(uplink);
  return { read: () => readAll(consumer.fetch(what, AbortSignal.timeout(20_000))) };
}

test.each([
  ["loses", { loss: 0.02 }],
  ["doubles", { duplication: 0.2 }],
  ["reorders", { reordering: 0.2 }],
  ["does all of that to", { loss: 0.01, duplication: 0.1, reordering: 0.1 }],
])("an object arrives whole over a path that %s some datagrams", async (_, faults) => {
  const { read } = await connect(faults);
  expect((await read()).equals(bytes)).toBe(true);
});
