/**
 * A process of its own, for a network namespace: `node fetch-over-udp.ts HOST [MTU]` fetches 1 MB over UDP and prints what
 * the kernel has counted.
 */
import { datagramCounters } from "#test/support/datagram-counters.ts";
import { patternBlob } from "#test/support/registry.ts";
import { ObjectsInMemory, overSocket, producerOf, readAll } from "../objects.ts";

const [host, mtu] = process.argv.slice(2) as [string, string | undefined];
const bytes = patternBlob(1_000_000);
const objects = new ObjectsInMemory();
const what = objects.add("blob", bytes);
await using way = await overSocket(`udp://${host}:0`, producerOf(objects), {
  mtu: mtu === undefined ? undefined : Number(mtu),
});
const read = await readAll(way.consumer.fetch(what, AbortSignal.timeout(10_000)));
console.log(JSON.stringify({ isRight: read.equals(bytes), ...datagramCounters() }));
