import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { objectName } from "#blob/names.ts";
import { NdnSource } from "#blob/ndn-source.ts";
import { type BlobRef, fromStart } from "#blob/source.ts";
import { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import { InterestClient } from "#ndn/consumer/interest-client.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { joinName, keyword } from "#ndn/packet/name.ts";
import { TrustAnchors } from "#ndn/trust/anchors.ts";
import { certificateFetcher } from "#ndn/trust/certificate-fetcher.ts";
import { createVerifier } from "#ndn/trust/verifier.ts";
import { holdTime } from "#test/ndn/hold-time.ts";
import { readAll } from "#test/ndn/objects.ts";
import { WithholdingProducer } from "#test/ndn/withholding-producer.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { makeIdentity, type TestIdentity } from "./identity.ts";
import { repository } from "./lists.ts";
import { prefix, serve } from "./serving.ts";

let registry: TestRegistry;
let identity: TestIdentity;
beforeAll(async () => {
  registry = await startRegistry();
  identity = await makeIdentity(prefix);
});
afterAll(() => registry.close());

const never = new AbortController().signal;

/** A server whose digest lists of one blob are held, and a puller that trusts it; time stands still for the puller. */
async function stage(owned: AsyncDisposableStack) {
  const serving = owned.use(await serve(registry, { identity }));
  const producer = new WithholdingProducer(serving.server.producer);
  const uplink = new MemoryUplink(producer);
  owned.defer(() => uplink.close());
  const consumer = new SegmentConsumer(uplink, { maxWindow: 64 });
  uplink.addHandler(consumer);
  const interests = new InterestClient(uplink);
  uplink.open();
  const anchors = TrustAnchors.load([identity.digest]);
  const verifier = createVerifier({ anchors, prefix, fetchCertificate: certificateFetcher(interests) });
  const source = new NdnSource(prefix, interests, consumer, { verifier, events: {} });
  const read = async (blob: BlobRef) =>
    readAll((await source.open(blob, fromStart, never)).chunks as AsyncIterable<Buffer>);
  const add = (bytes: Buffer) => ({ repository, digest: registry.addBlob(repository, bytes) });
  const slow = patternBlob(50_000, 1);
  const slowBlob = add(slow);
  const lists = joinName(objectName(prefix, slowBlob.digest, 8192), keyword("digests"));
  producer.hold(lists);
  await read(add(patternBlob(50_000, 2))); // the certificate is here
  holdTime();
  const before = consumer.counters.segments;
  const reading = read(slowBlob);
  await until("its first list to be asked for", () => producer.interests > 0);
  await until("all but the list to be here", () => {
    vi.advanceTimersByTime(10); // the consumer asks again for what is lost
    return consumer.counters.segments >= before + Math.ceil(slow.length / 8192);
  });
  return { producer, lists, slow, reading, read, add };
}

test("a digest list that the server has not made yet is waited for while it answers those of others", async () => {
  await using owned = new AsyncDisposableStack();
  const { producer, lists, slow, reading, read, add } = await stage(owned);
  for (let i = 3; i < 7; i++) {
    await read(add(patternBlob(50_000, i)));
    vi.advanceTimersByTime(3_000);
  }
  producer.release(lists);
  expect((await reading).equals(slow)).toBe(true);
});

test("one that no others are answered beside is given up after 4 s", async () => {
  await using owned = new AsyncDisposableStack();
  const { reading } = await stage(owned);
  const failing = expect(reading).rejects.toThrow(/digest list 0 is not available/);
  for (let i = 0; i < 9; i++) vi.advanceTimersByTime(1_000);
  await failing;
});
