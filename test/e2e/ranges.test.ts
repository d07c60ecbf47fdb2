/** Ranges through real programs: as docker-registry answers them, and as pullers that read a blob in parts ask for them. */
import { beforeAll, expect, test } from "vitest";
import { sumOf } from "#test/support/metrics.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { blobBytes, payloadSent, type RunningProgram, startClient } from "#test/support/running-program.ts";
import { below, oneOf, seededRandom } from "#test/support/seeded-random.ts";
import { useStage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";
import { overNdnOnly, prefix, startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";
import { type Answer, exchange } from "./conformance/exchange.ts";

const repository = "team/app/ranges";
const patience = { timeout: 120_000 };
const mib = 1024 * 1024;
/** Many more for the record: `NDN_REGISTRY_FUZZ=10000`. */
const questions = Number(process.env.NDN_REGISTRY_FUZZ ?? 300);

describeWith(wholePathPrograms, "ranges", () => {
  const stage = useStage();
  let path: WholePath;
  let uncached: RunningProgram;

  beforeAll(async () => {
    path = await startWholePath(stage, { anchored: true, client: overNdnOnly });
    const folder = await stage.newFolder("uncached");
    const args = ["--name", prefix, "--uplink", `unix://${path.socket}`, "--upstream", path.registry.url];
    uncached = stage.own(await startClient({ folder, args: [...args, "--cache-size", "0", ...overNdnOnly] }));
  }, 60_000);

  const push = async (seed: string, sizeBytes: number) => {
    const bytes = randomBytesOf(seed, sizeBytes);
    const { digest } = await pushBlob(path.registry.url, repository, bytes);
    return { bytes, digest, url: `/v2/${repository}/blobs/${digest}` };
  };

  test("are answered as docker-registry answers them, with and without a cache", { timeout: 1_200_000 }, async () => {
    const blobs = await Promise.all([1, 3_000, 100_000].map((size) => push(`fuzzed ${size}`, size)));
    const random = seededRandom(11);
    const lessThan = (limit: number) => below(random, limit);
    for (let i = 0; i < questions; i++) {
      const { url, digest, bytes } = oneOf(random, blobs);
      const headers = randomQuestion(lessThan, digest, bytes.length);
      const [straight, ...through] = await Promise.all(
        [path.registry, path.client, uncached].map((at) => exchange(at.url, url, { headers })),
      );
      for (const answer of through) expect([headers, told(answer)]).toEqual([headers, told(straight!)]);
    }
  });

  test(
    "of 20 parts at once, as SOCI pulls, make the blob whole in the cache, each byte fetched once over NDN",
    patience,
    async () => {
      const { bytes, url } = await push("soci", 40 * mib);
      const [sent, before] = [await payloadSent(path.server), await blobBytes(path.client)];
      const starts = Array.from({ length: 20 }, (_, i) => 2 * i * mib);
      const readAll = () =>
        Promise.all(
          starts.map(async (start) => {
            const range = `bytes=${start}-${start + 2 * mib - 1}`;
            const { status, body } = await exchange(path.client.url, url, { headers: { range } });
            expect([status, digestOf(body)]).toEqual([206, digestOf(bytes.subarray(start, start + 2 * mib))]);
          }),
        );
      await readAll();
      expect((await payloadSent(path.server)) - sent).toBeLessThan(1.05 * bytes.length);
      const cold = await blobBytes(path.client);
      expect(cold.ndn - before.ndn).toBeGreaterThan(0.95 * bytes.length);
      const running = async () => sumOf(await path.client.metrics(), "ndn_registry_fetches_in_flight");
      await until("the blob to be cached", async () => (await running()) === 0);
      const stored = await blobBytes(path.client);
      await readAll();
      expect((await blobBytes(path.client)).store - stored.store).toBe(bytes.length);
    },
  );

  test("here and there, as a lazily read image is, come over NDN without the rest", patience, async () => {
    const { bytes, url } = await push("lazy", 40 * mib);
    const sent = await payloadSent(path.server);
    for (const start of [bytes.length - 50_000, bytes.length - 60_000, 0, 7_000_000, 31_000_000, 12_345_678]) {
      const range = `bytes=${start}-${start + 9_999}`;
      const { headers, body } = await exchange(path.client.url, url, { headers: { range } });
      expect([headers["x-blob-source"], digestOf(body)]).toEqual([
        "ndn",
        digestOf(bytes.subarray(start, start + 10_000)),
      ]);
    }
    expect((await payloadSent(path.server)) - sent).toBeLessThan(mib);
  });

  test("of 20 parts at once without an anchor are the registry's, each byte once", patience, async () => {
    const { bytes, url } = await push("soci, unanchored", 40 * mib);
    const before = await blobBytes(uncached);
    const parts = Array.from({ length: 20 }, async (_, i) => {
      const range = `bytes=${2 * i * mib}-${2 * (i + 1) * mib - 1}`;
      return (await exchange(uncached.url, url, { headers: { range } })).body;
    });
    expect(digestOf(Buffer.concat(await Promise.all(parts)))).toBe(digestOf(bytes));
    const after = await blobBytes(uncached);
    expect([after.ndn - before.ndn, after.upstream - before.upstream]).toEqual([0, bytes.length]);
  });
});

/** What a puller can tell from an answer. */
function told({ status, headers, body }: Answer) {
  const text = body.toString("latin1").replaceAll(/--[0-9a-f]{60}/g, "boundary");
  // docker-registry breaks off the body of its own refusals, and does not always say the size.
  if (status >= 400) return { status };
  const type = status === 206 ? headers["content-type"]?.split(";")[0] : undefined;
  const { "content-range": range, "content-length": length, etag } = headers;
  return { status, range, length, etag, type, body: text };
}

/** Ranges and conditions around the edges of a blob; up to 16 ranges, of which docker-registry takes any number. */
function randomQuestion(less: (n: number) => number, digest: string, size: number): Record<string, string> {
  const position = () => [0, 1, 5, size - 1, size, size + 1, less(size + 2), less(size + 2)][less(8)]!;
  const range = () => {
    const [a, b] = [Math.max(0, position()), Math.max(0, position())];
    return [`${a}-${Math.max(a, b)}`, `${a}-`, `-${b + 1}`, ` ${Math.min(a, b)}-${Math.max(a, b)}`][less(4)]!;
  };
  const ranges = () => {
    if (less(8) === 0) return `${position()}-${position()}`; // which may be none
    return Array.from({ length: less(3) === 0 ? 1 + less(5) : 1 }, range).join(",");
  };
  const tag = () => [`"${digest}"`, '"another"', `W/"${digest}"`, `"a", "${digest}"`, "*"][less(5)]!;
  const headers: Record<string, string> = {};
  if (less(8) > 0) headers.range = `bytes=${ranges()}`;
  if (less(6) === 0) headers["if-none-match"] = tag();
  if (less(6) === 0) headers["if-match"] = tag();
  if (less(6) === 0) headers["if-range"] = [`"${digest}"`, '"another"', `W/"${digest}"`][less(3)]!;
  return headers;
}
