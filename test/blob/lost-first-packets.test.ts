import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { parseBlobName } from "#blob/names.ts";
import { NdnSource } from "#blob/ndn-source.ts";
import { fromStart } from "#blob/source.ts";
import { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import { InterestClient } from "#ndn/consumer/interest-client.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { withoutImplicitDigest } from "#ndn/packet/name.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";
import { TT } from "#ndn/packet/tlv.ts";
import { type Digest, hashOf } from "#oci/reference.ts";
import { prefix, serve } from "#test/publish/serving.ts";
import type { Mangle } from "#test/support/link/link.ts";
import { type LinkRelay, startLinkRelay } from "#test/support/link/link-relay.ts";
import { startNdnd } from "#test/support/programs/ndnd.ts";
import { patternBlob, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { useStage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";

const repository = "team/app";
const delayMs = 50;
const stage = useStage();
let registry: TestRegistry;
let blobs = 0;

/** A client, and the link between it, or its forwarder, and the server. */
interface Path {
  readonly read: (digest?: Digest) => Promise<void>;
  readonly relay: LinkRelay;
  /** The direction of the relay that leads to the server. */
  readonly towards: "up" | "down";
}

async function directPath(folder: string): Promise<Path> {
  const [near, far] = [join(folder, "relay.sock"), join(folder, "server.sock")];
  const serving = stage.own(await serve(registry));
  await serving.server.listen(parseFaceUrl(`unix://${far}`));
  const relay = stage.own(
    await startLinkRelay({ listen: near, target: far, up: { delayMs }, down: { delayMs }, seed: 1 }),
  );
  return { read: await reader(near), relay, towards: "up" };
}

/** The link is behind the forwarder, which suppresses Interests that come again within 400 ms. */
async function pathThroughNdnd(folder: string): Promise<Path> {
  const [near, far] = [join(folder, "nfd.sock"), join(folder, "relay.sock")];
  stage.own(await startNdnd({ socket: near }));
  const relay = stage.own(
    await startLinkRelay({ listen: far, target: near, up: { delayMs }, down: { delayMs }, seed: 1 }),
  );
  const serving = stage.own(await serve(registry));
  serving.server.connect(parseFaceUrl(`unix://${far}`));
  await until("the registration", () => serving.log.some(({ msg }) => msg === "prefix is registered"));
  return { read: await reader(near), relay, towards: "down" };
}

function freshBlob(): Digest {
  return registry.addBlob(repository, patternBlob(60_000, blobs++)) as Digest;
}

async function reader(socket: string): Promise<Path["read"]> {
  const uplink = new SocketUplink(parseFaceUrl(`unix://${socket}`));
  stage.own({ [Symbol.asyncDispose]: async () => uplink.close() });
  const consumer = new SegmentConsumer(uplink, { maxWindow: 512 });
  uplink.addHandler(consumer);
  const source = new NdnSource(prefix, new InterestClient(uplink), consumer);
  uplink.open();
  await until("the face", () => uplink.face);
  return async (digest = freshBlob()) => {
    const { chunks } = await source.open({ repository, digest }, fromStart, AbortSignal.timeout(10_000));
    for await (const _ of chunks);
  };
}

/** Loses the first packet of this kind for a blob, and notes when those that ask for the same pass; in milliseconds. */
function losesFirst(digest: Digest, what: string, type: number, passedAtMs: number[]): Mangle {
  const view = new PacketView();
  return (packet) => {
    if (!view.read(packet, 0, packet.length) || view.type !== type) return undefined;
    const name = withoutImplicitDigest(Buffer.from(view.buf.subarray(view.nameStart, view.nameEnd)));
    const request = name && parseBlobName(prefix, name);
    const isSegment = request?.kind === "segment" || request?.kind === "plain"; // either name brings it
    const kind = name?.includes("metadata") ? "metadata" : isSegment ? `segment ${request.number}` : "";
    if (kind !== what || !name?.includes(hashOf(digest))) return undefined;
    passedAtMs.push(performance.now());
    return passedAtMs.length === 1 ? { onward: [] } : undefined;
  };
}

/** How long after the first one is asked again for what is lost, over this path. */
async function askedAgainAfter({ relay, read, towards }: Path, what: string, isAnswer: boolean): Promise<number> {
  const back = towards === "up" ? "down" : "up";
  const [asked, lost]: number[][] = [[], []];
  const digest = freshBlob();
  const seen = losesFirst(digest, what, TT.Interest, asked!);
  relay[towards] = { delayMs, mangle: isAnswer ? (packet, random) => void seen(packet, random) : seen };
  relay[back] = isAnswer ? { delayMs, mangle: losesFirst(digest, what, TT.Data, lost!) } : { delayMs };
  await read(digest);
  return asked![1]! - asked![0]!;
}

beforeEach(async () => {
  registry = await startRegistry();
  return () => registry.close();
});

const losses = [
  ["the Interest for metadata", "metadata", false],
  ["metadata", "metadata", true],
  ["the Interest for the first segment", "segment 0", false],
  ["the first segment", "segment 0", true],
] as const;

describe("on a known path of 100 ms", () => {
  test.each(losses)("%s that is lost is asked for again after little more than that", async (_, what, isAnswer) => {
    const path = await directPath(await stage.newFolder("direct"));
    for (let i = 0; i < 4; i++) await path.read();
    const ms = await askedAgainAfter(path, what, isAnswer);
    expect(ms).toBeGreaterThan(95);
    expect(ms).toBeLessThan(400);
  });
});

describe("on a path of which nothing is known", () => {
  test.each(losses)("%s that is lost is asked for again before a forwarder would pass that on", async (_, ...lost) => {
    const path = await directPath(await stage.newFolder("unknown"));
    expect(await askedAgainAfter(path, ...lost)).toBeLessThan(400);
  });
});

describeWith(["ndnd"], "through ndnd", () => {
  test.each(losses)("%s that is lost behind it is asked for again as soon as it passes that on", async (_, ...lost) => {
    const path = await pathThroughNdnd(await stage.newFolder("ndnd"));
    const ms = await askedAgainAfter(path, ...lost);
    expect(ms).toBeGreaterThanOrEqual(395);
    expect(ms).toBeLessThan(800);
  });
});
