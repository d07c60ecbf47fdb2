import { Interest, Name as NdnName } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import { Registry } from "prom-client";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { digestListName, metadataName, objectName, repositoryName } from "#blob/names.ts";
import { NdnSource } from "#blob/ndn-source.ts";
import { fromStart } from "#blob/source.ts";
import { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import { InterestClient } from "#ndn/consumer/interest-client.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { contentTypes, decodeMetadata } from "#ndn/packet/data.ts";
import { joinName, type Name, segment, version } from "#ndn/packet/name.ts";
import { TT, tlv } from "#ndn/packet/tlv.ts";
import { digestOfHash } from "#oci/reference.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { until } from "#test/support/until.ts";
import { makeIdentity, type TestIdentity } from "./identity.ts";
import { fetchList, repository, verifierOf } from "./lists.ts";
import { prefix, type Reader, type Serving, serve } from "./serving.ts";

const bytes = patternBlob(500_000);
const unique = { isUnique: true };
let registry: TestRegistry;
let identity: TestIdentity;
let metrics: Registry;
let serving: Serving;
let reader: Reader;

beforeAll(async () => {
  registry = await startRegistry();
  identity = await makeIdentity(prefix);
});
afterAll(() => registry.close());
beforeEach(async () => {
  metrics = new Registry();
  serving = await serve(registry, { identity, metrics });
  reader = serving.reader();
  return () => serving[Symbol.asyncDispose]();
});

async function outcomes(): Promise<Record<string, number>> {
  const metric = await metrics.getSingleMetric("ndn_registry_server_unique_questions_total")!.get();
  return Object.fromEntries(metric.values.map(({ labels, value }) => [labels.outcome, value]));
}

/** Resolves when the server has seen so many Interests, and has had time to answer another one. */
async function seen(count: number): Promise<void> {
  await until("the Interests to be seen", () => serving.server.producer.counters.interests >= count);
  const digest = registry.addBlob(repository, bytes);
  await reader.get(metadataName(prefix, repository, digest));
}

test("a list is signed for this Interest alone, and says the same", async () => {
  const digest = registry.addBlob(repository, bytes);
  const common = await fetchList(reader, digest, 1);
  const lists = [await fetchList(reader, digest, 1, 8192, true), await fetchList(reader, digest, 1, 8192, true)];
  const verifier = await verifierOf(identity);
  for (const list of lists) {
    await verifier.verify(list);
    expect(Buffer.from(list.content).equals(common.content)).toBe(true);
    expect([list.contentType, list.freshnessPeriod]).toEqual([contentTypes.Manifest, 1_000]);
    expect(list.name.getPrefix(-1).equals(common.name)).toBe(true);
    expect(list.name.at(-1).type).toBe(TT.ParametersSha256DigestComponent);
  }
  expect(lists[0]!.name.equals(lists[1]!.name)).toBe(false);
});

test("metadata is signed for this Interest alone, and says the same", async () => {
  const digest = registry.addBlob(repository, bytes);
  const asked = metadataName(prefix, repository, digest);
  const data = await reader.get(asked, unique);
  await (await verifierOf(identity)).verify(data);
  expect([data.contentType, data.freshnessPeriod]).toEqual([contentTypes.Blob, 1_000]);
  expect(data.name.getPrefix(-3).equals(new NdnName(asked))).toBe(true);
  const types = [TT.ParametersSha256DigestComponent, TT.VersionNameComponent, TT.SegmentNameComponent];
  expect([-3, -2, -1].map((i) => data.name.at(i).type)).toEqual(types);
  const { sizeBytes, name } = decodeMetadata(Buffer.from(data.content))!;
  expect([sizeBytes, name.equals(objectName(prefix, digest, 8192))]).toEqual([bytes.length, true]);
});

test("a puller without an anchor asks past a cache whose metadata is malformed", async () => {
  const digest = registry.addBlob(repository, bytes);
  const asked = metadataName(prefix, repository, digest);
  const unsigned = tlv(
    TT.Data,
    tlv(TT.Name, joinName(asked, version(1), segment(0))),
    tlv(TT.Content, Buffer.from("x")),
  );
  const { producer } = serving.server;
  const uplink = new MemoryUplink({
    accept(view, face) {
      const isCommon = asked.compare(view.buf, view.nameStart, view.nameEnd) === 0;
      if (isCommon) face.send(unsigned);
      return isCommon || producer.accept(view, face);
    },
  });
  const consumer = new SegmentConsumer(uplink, { maxWindow: 64 });
  uplink.addHandler(consumer);
  const source = new NdnSource(prefix, new InterestClient(uplink), consumer);
  uplink.open();
  const { chunks } = await source.open({ repository, digest }, fromStart, AbortSignal.timeout(10_000));
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  expect(Buffer.concat(all).equals(bytes)).toBe(true);
  expect(await outcomes()).toEqual({ answered: 1 });
  uplink.close();
});

test("that there is no such blob is signed for this Interest alone", async () => {
  const asked = metadataName(prefix, repository, digestOfHash(Buffer.alloc(32, 1)));
  const data = await reader.get(asked, unique);
  await (await verifierOf(identity)).verify(data);
  expect([data.contentType, data.freshnessPeriod, data.content.length]).toEqual([contentTypes.Nack, 1_000, 0]);
  expect(data.name.at(-3).type).toBe(TT.ParametersSha256DigestComponent);
});

test("a name that does not have the digest of the parameters is silence, before any I/O", async () => {
  const digest = digestOfHash(Buffer.alloc(32, 2));
  const requests = registry.requests.length;
  const wrong = tlv(TT.ParametersSha256DigestComponent, Buffer.alloc(32, 3));
  const names = [metadataName(prefix, repository, digest), digestListName(objectName(prefix, digest, 8192), 0)];
  const hint = { forwardingHint: repositoryName(prefix, repository) };
  for (const name of names) {
    reader.ask(joinName(name, wrong), hint);
    reader.uplink.face!.send(withParameters(joinName(name, wrong)));
  }
  await until("the Interests to be seen", () => serving.server.producer.counters.interests === 4);
  expect(registry.requests).toHaveLength(requests);
  expect(await outcomes()).toEqual({});
});

test("so many at once are answered, the rest is silence; the others go on being answered", async () => {
  const digest = registry.addBlob(repository, bytes);
  const asked = metadataName(prefix, repository, digest);
  for (let i = 0; i < 200; i++) {
    const interest = new Interest(new NdnName(asked), Interest.CanBePrefix);
    interest.appParameters = Buffer.of(i);
    await interest.updateParamsDigest();
    reader.uplink.face!.send(Encoder.encode(interest));
  }
  await seen(200);
  const { answered = 0, refused = 0 } = await outcomes();
  expect(answered + refused).toBe(200);
  expect(answered).toBeGreaterThanOrEqual(40);
  expect(answered).toBeLessThan(150);
});

/** An Interest with parameters and whatever name. */
function withParameters(name: Name): Buffer {
  return tlv(
    TT.Interest,
    tlv(TT.Name, name),
    tlv(TT.CanBePrefix),
    tlv(TT.Nonce, Buffer.alloc(4, 1)),
    tlv(TT.ApplicationParameters, Buffer.from("x")),
  );
}
