/** Pulls that go on without the upstream, and a client that is killed again and again while it fills its cache. */
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import { programPath } from "#test/support/programs.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { startRegistry } from "#test/support/registry.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { blobBytes, type RunningProgram, startClient } from "#test/support/running-program.ts";
import { below, oneOf, seededRandom } from "#test/support/seeded-random.ts";
import { blobUrl } from "#test/support/slow-reader.ts";
import { pushSmallImage } from "#test/support/small-image.ts";
import { useStage } from "#test/support/stage.ts";

const repository = "team/app/cached";
const nobody = ["--uplink", "unix:///nobody/here.sock"];

describeWith(["docker-registry", "skopeo", "busybox"], "an image that was pulled once", () => {
  const stage = useStage();

  test("is pulled by tag on another machine while the registry is stopped", { timeout: 60_000 }, async () => {
    const folder = await stage.newFolder("once");
    const registry = stage.own(await startDockerRegistry({ folder }));
    const image = await pushSmallImage(registry.url, repository, randomBytesOf("cached pulls", 5_000_000));
    const config = join(folder, "config.yaml");
    await writeFile(
      config,
      `default: registry.example\nregistries: {registry.example: {upstream: "${registry.url}"}}\n`,
    );
    const args = ["--config", config, ...nobody];
    const client = stage.own(await startClient({ folder, args }));
    const copy = async (name: string, source = `${client.host}/${repository}`) => {
      const copied = join(folder, name);
      const target = ["--src-tls-verify=false", `docker://${source}:latest`, `dir:${copied}`];
      await run(programPath("skopeo"), ["copy", "--insecure-policy", ...target]);
      for (const digest of image.digests) expect(digestOf(await readFile(join(copied, digest.slice(7))))).toBe(digest);
    };
    await copy("first");
    await registry.process.stop();
    await copy("second");
    await copy("third", `${client.host}/registry.example/${repository}`);
    const { upstream, store } = await blobBytes(client);
    expect([upstream, store]).toEqual([image.blobBytes, 2 * image.blobBytes]);
  });
});

/** `KILLS=50` for the long run. */
const kills = Number(process.env.KILLS ?? 10);
/** More of them, up to so many, until one has hit a fetch that could be resumed. */
const mostKills = kills + 40;
const maxBytes = 60_000_000;

describeWith([], "a client that is killed while it fills its cache", () => {
  const stage = useStage();
  const random = seededRandom(20_261);
  // Those beyond 8 MiB are in the file before all of them has come.
  const blobs = Array.from({ length: 14 }, (_, nth) => {
    const bytes = randomBytesOf(`killed ${nth}`, 1_000_000 + below(random, 19_000_000));
    return { bytes, digest: digestOf(bytes) };
  });
  type Blob = (typeof blobs)[number];

  /** A GET that may break off, but not bring another byte than the blob's. */
  async function pull(client: RunningProgram, { bytes, digest }: Blob): Promise<"whole" | "broken off"> {
    const { promise, resolve, reject } = Promise.withResolvers<"whole" | "broken off">();
    const request = get(blobUrl(client.url, repository, digest), { agent: false });
    request.on("error", () => resolve("broken off"));
    request.on("response", (response: IncomingMessage) => {
      let at = 0;
      response.on("error", () => resolve("broken off"));
      response.on("data", (piece: Buffer) => {
        const isRight = response.statusCode === 200 && piece.equals(bytes.subarray(at, at + piece.length));
        at += piece.length;
        if (!isRight) reject(new Error(`${response.statusCode}: a wrong byte before byte ${at} of ${digest}`));
      });
      response.on("end", () => {
        if (at === bytes.length) resolve("whole");
        else reject(new Error(`a clean end after ${at} of ${bytes.length} bytes`));
      });
    });
    return promise;
  }

  /** What lies in the cache, in bytes of disk; every blob that can be seen is right. */
  async function diskUse(directory: string): Promise<{ bytes: number; files: number; partials: number }> {
    const found = { bytes: 0, files: 0, partials: 0 };
    for (const [name, isVisible] of [
      ["blobs/sha256", true],
      ["partial", false],
    ] as const) {
      for (const file of await readdir(join(directory, name)).catch(() => [])) {
        const path = join(directory, name, file);
        found.bytes += (await stat(path)).blocks * 512;
        found.files += 1;
        if (isVisible) expect(digestOf(await readFile(path))).toBe(`sha256:${file}`);
        else found.partials += 1;
      }
    }
    return found;
  }

  test(`${kills} times at random moments serves no wrong byte, goes on where it was, and keeps its budget`, {
    timeout: 10_000 + mostKills * 6_000,
  }, async () => {
    const registry = await startRegistry();
    stage.own({ [Symbol.asyncDispose]: () => registry.close() });
    for (const { bytes } of blobs) registry.addBlob(repository, bytes);
    registry.fault = { kind: "slow", bytesPerSecond: 30_000_000 };
    const directory = await stage.newFolder("cache");
    const start = () =>
      startClient({
        folder: stage.folder,
        args: [
          ...["--name", "/n", "--upstream", registry.url.href, "--cache-dir", directory],
          ...["--cache-size", String(maxBytes), ...nobody],
        ],
        env: { NODE_COMPILE_CACHE: join(stage.folder, "compiled"), DOCKER_NDN_LOG_FORMAT: "json" },
      });
    const figures = { whole: 0, "broken off": 0, resumed: 0, partials: 0, mostBytes: 0 };
    let unfinished: Blob[] = [];
    for (let round = 0; round < kills || (figures.resumed === 0 && round < mostKills); round++) {
      const client = stage.own(await start());
      const [seen, wanted] = [registry.requests.length, [...unfinished]];
      unfinished = [];
      const pullers = [0, 1, 2].map(async () => {
        while (client.process.exit === undefined) {
          const blob = wanted.shift() ?? oneOf(random, blobs);
          const outcome = await pull(client, blob);
          figures[outcome] += 1;
          if (outcome === "broken off") return unfinished.push(blob);
        }
        return 0;
      });
      await delay(50 + random() * 600);
      await client.process.kill();
      await Promise.all(pullers);
      const ranges = registry.requests.slice(seen).map(({ range }) => /^bytes=(\d+)-/.exec(range ?? "")?.[1]);
      figures.resumed += ranges.filter((start) => Number(start ?? 0) > 0).length;
      const { bytes, files, partials } = await diskUse(directory);
      expect(bytes).toBeLessThanOrEqual(maxBytes + files * 4096);
      figures.partials += partials;
      figures.mostBytes = Math.max(figures.mostBytes, bytes);
    }
    console.info(`after ${kills} kills or more: ${JSON.stringify(figures)}`);
    expect(figures.resumed).toBeGreaterThan(0);
    expect(figures.whole).toBeGreaterThan(0);
    const client = stage.own(await start());
    for (const blob of blobs) expect(await pull(client, blob)).toBe("whole");
    expect(await pull(client, blobs.at(-1)!)).toBe("whole"); // the last one is cached, whatever had to go for it
    expect((await blobBytes(client)).store).toBeGreaterThan(0);
    const { bytes, files } = await diskUse(directory);
    expect(bytes).toBeLessThanOrEqual(maxBytes + files * 4096);
  });
});
