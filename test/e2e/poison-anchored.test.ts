/** Forged packets in a cache on the way cost a client with an anchor one packet each, and never a pull. */
import { Component, Data, Name } from "@ndn/packet";
import { beforeAll, expect, test } from "vitest";
import { cacheWith, forgedSegments, insert } from "#test/support/link/forged-segments.ts";
import { sumOf } from "#test/support/metrics.ts";
import { segmentedName } from "#test/support/ndn-consumer.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { blobBytes } from "#test/support/running-program.ts";
import { fetchBlob } from "#test/support/slow-reader.ts";
import { useStage } from "#test/support/stage.ts";
import { overNdnOnly, prefix, startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/poison";
const patience = { timeout: 60_000 };
/** Larger for the record: `POISON_BYTES=100000000`. */
const sizeBytes = Number(process.env.POISON_BYTES ?? 20_000_000);
const segmentCount = Math.ceil(sizeBytes / 8192);

for (const [where, relayed] of [
  ["the forwarder's store", false],
  ["a cache on the link", true],
] as const) {
  describeWith(wholePathPrograms, `with an anchor, forged packets in ${where}`, () => poisonedPulls(relayed));
}

/** @param relayed - Whether a relay plays the cache; else it is ndnd's own. */
function poisonedPulls(relayed: boolean): void {
  const stage = useStage();
  let path: WholePath;
  const table: Record<string, unknown>[] = [];

  beforeAll(async () => {
    const client = ["--cache-size", "0", ...overNdnOnly];
    path = await startWholePath(stage, { anchored: true, relayed, capacity: 65_000, client });
    return () => console.table(table);
  }, 60_000);

  const push = async (seed: string) =>
    (await pushBlob(path.registry.url, repository, randomBytesOf(seed, sizeBytes))).digest;

  const counters = async () => {
    const samples = await path.client.metrics();
    const counted = (name: string, labels = {}) => sumOf(samples, `ndn_registry_${name}_total`, labels);
    return {
      wrong: counted("segments_wrong"),
      byDigest: counted("segments_mended", { how: "implicit-digest" }),
      byHttps: counted("segments_mended", { how: "elsewhere" }),
      untrusted: counted("packets_untrusted"),
      interests: counted("uplink_interests"),
      ...(await blobBytes(path.client)),
    };
  };

  /** Pull, and say what it took beyond a pull of the same size without an attacker. */
  async function pull(what: string, digest: string) {
    const before = await counters();
    const beganMs = performance.now();
    expect(await fetchBlob(path.client.url, repository, digest)).toEqual({ digest, sizeBytes, isComplete: true });
    const ms = Math.round(performance.now() - beganMs);
    const after = await counters();
    const spent = Object.fromEntries(
      Object.entries(after).map(([name, value]) => [name, value - before[name as keyof typeof before]]),
    ) as typeof after;
    table.push({ what, ms, ...spent, extraInterests: spent.interests - segmentCount });
    return spent;
  }

  async function forge(packets: Data[]): Promise<void> {
    if (path.relay) path.relay.up = { mangle: await cacheWith(packets) };
    else await insert(path.socket, packets);
  }

  test("nothing forged: nothing repaired", patience, async () => {
    const spent = await pull("nothing forged", await push("clean"));
    expect(spent).toMatchObject({ wrong: 0, byDigest: 0, byHttps: 0, untrusted: 0, ndn: sizeBytes, upstream: 0 });
  });

  test.each([1, 100, segmentCount])("%d segments: all bytes are right and come over NDN", patience, async (count) => {
    const digest = await push(`segments ${count}`);
    const segments = Array.from({ length: count }, (_, i) => Math.floor((i * segmentCount) / count));
    await forge(forgedSegments({ name: segmentedName(prefix, digest), sizeBytes, segments }));
    const spent = await pull(`${count} segments forged`, digest);
    expect([spent.ndn, spent.upstream, spent.byHttps]).toEqual([sizeBytes, 0, 0]);
    expect(spent.byDigest).toBe(spent.wrong);
    // After several wrong ones in a list, all of its segments are asked for by implicit digest at once.
    expect(spent.wrong).toBeGreaterThan(0);
    expect(spent.wrong).toBeLessThanOrEqual(count);
  });

  test("digest lists: they are asked again with a name that no cache knows", patience, async () => {
    const digest = await push("lists");
    const lists = segmentedName(prefix, digest).append(new Component(32, Buffer.from("digests")));
    const forged = [0, 1, 2].map((i) => {
      const data = new Data(lists.append(new Component(50, Uint8Array.of(i))), Data.FreshnessPeriod(3_600_000));
      data.contentType = 4;
      data.content = randomBytesOf(`list ${i}`, i === 0 ? 512 : 7680);
      return data;
    });
    await forge(forged);
    const spent = await pull("digest lists forged", digest);
    expect(spent).toMatchObject({ untrusted: forged.length, wrong: 0, ndn: sizeBytes, upstream: 0 });
  });

  test.each([
    ["metadata", 0],
    ["a negative answer", 3],
  ])("%s: it is asked again with a name that no cache knows", patience, async (what, contentType) => {
    const digest = await push(what);
    const hash = new Component(8, Buffer.from(digest.slice("sha256:".length), "hex"));
    const metadata = new Name(`${prefix}/${repository}`).append(hash, new Component(32, Buffer.from("metadata")));
    const version = Buffer.alloc(8);
    version.writeBigUInt64BE(BigInt(Date.now() + 3_600_000) * 1000n);
    const name = metadata.append(new Component(54, version), new Component(50, Uint8Array.of(0)));
    const data = new Data(name, Data.FreshnessPeriod(60_000), Uint8Array.of(1));
    data.contentType = contentType;
    await forge([data]);
    const spent = await pull(`${what} forged`, digest);
    expect(spent).toMatchObject({ untrusted: 1, ndn: sizeBytes, upstream: 0 });
  });
}
