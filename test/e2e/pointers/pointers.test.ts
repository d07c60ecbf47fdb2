/** Pointers through a real forwarder, of a real registry. */
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { objectName, repositoryName } from "#blob/names.ts";
import { decodePointer, type Pointer } from "#blob/pointer.ts";
import { isServerName, type PointerTarget, pointerName } from "#blob/pointer-names.ts";
import { decodeTagList } from "#blob/snapshots.ts";
import { InterestClient, type InterestOptions } from "#ndn/consumer/interest-client.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import { joinName, type Name, parseName, segment } from "#ndn/packet/name.ts";
import { readSignedData } from "#ndn/trust/signed-data.ts";
import { pushBlob, pushManifest } from "#test/support/oci-push.ts";
import { type DockerRegistry, startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import { startNdnd } from "#test/support/programs/ndnd.ts";
import { programPath } from "#test/support/programs.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { type RunningProgram, startServer } from "#test/support/running-program.ts";
import { useStage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";

const place = "/e2e/pointers";
const prefix = parseName(place);
const repository = "team/app";
const mediaType = "application/vnd.oci.image.manifest.v1+json";
const { signal } = new AbortController();

describeWith(["ndnd", "docker-registry"], "pointers through a forwarder", () => {
  const stage = useStage();
  let registry: DockerRegistry;
  let socket: string;

  beforeAll(async () => {
    socket = join(await stage.newFolder("nfd"), "nfd.sock");
    stage.own(await startNdnd({ socket }));
    registry = stage.own(await startDockerRegistry({ folder: await stage.newFolder("registry") }));
    await startOne("one");
    await startOne("two");
  }, 60_000);

  async function startOne(name: string): Promise<RunningProgram> {
    const args = ["--name", place, "--uplink", `unix://${socket}`, "--registry", registry.url];
    const server = stage.own(await startServer({ folder: await stage.newFolder(name), args }));
    await until(`registration of ${name}`, async () => (await server.missing()).length === 0, 25_000);
    return server;
  }

  /** Someone with a face of their own. */
  async function openPuller(): Promise<InterestClient> {
    const uplink = new SocketUplink(parseFaceUrl(`unix://${socket}`));
    const interests = new InterestClient(uplink);
    stage.own({ [Symbol.asyncDispose]: async () => uplink.close() });
    uplink.open();
    await until("the face", () => uplink.face !== undefined);
    return interests;
  }

  async function get(puller: InterestClient, name: Name, options: InterestOptions = {}) {
    return readSignedData(await puller.express(name, { timeoutMs: 10_000 }, signal, options))!;
  }

  async function ask(puller: InterestClient, target: PointerTarget, options?: InterestOptions) {
    const { content, contentType } = await get(puller, pointerName(prefix, target), options);
    return contentType === contentTypes.Nack ? undefined : decodePointer(prefix, content);
  }

  async function read(puller: InterestClient, pointer: Pointer): Promise<Buffer> {
    const object = objectName(prefix, pointer.digest, pointer.segmentBytes);
    const forwardingHint = pointer.hint ?? repositoryName(prefix, repository);
    const pieces: Buffer[] = [];
    for (let n = 0; n * pointer.segmentBytes < pointer.sizeBytes; n++)
      pieces.push((await get(puller, joinName(object, segment(n)), { isExact: true, forwardingHint })).content);
    return Buffer.concat(pieces);
  }

  /** Push an image whose manifest has about so many bytes. */
  async function push(tag: string, sizeBytes: number, salt = ""): Promise<string> {
    const config = await pushBlob(registry.url, repository, Buffer.from("{}"));
    const annotations = { salt: salt.padEnd(sizeBytes, "x") };
    const manifest = { schemaVersion: 2, mediaType, config, layers: [], annotations };
    return (await pushManifest(registry.url, repository, tag, manifest)).digest;
  }

  const tag = (name: string): PointerTarget => ({ kind: "tag", repository, tag: name });

  test("a tag's manifest and the list of tags are read in segments, the list from the server that has made it", async () => {
    const digest = await push("large", 100_000);
    for (let i = 0; i < 150; i++) await push(`${i}`.padEnd(100, "x"), 10);
    const puller = await openPuller();
    const pointer = (await ask(puller, tag("large")))!;
    expect([pointer.digest, pointer.mediaType]).toEqual([digest, mediaType]);
    expect(JSON.parse((await read(puller, pointer)).toString()).annotations.salt).toHaveLength(100_000);
    for (let i = 0; i < 4; i++) {
      const list = (await ask(puller, { kind: "tags", repository }, { isUnique: true }))!;
      expect([list.inline, isServerName(prefix, list.hint!)]).toEqual([undefined, true]);
      expect(decodeTagList(repository, await read(puller, list))).toHaveLength(151);
    }
    expect(await ask(puller, tag("none"))).toBeUndefined();
    const env = { NDN_CLIENT_TRANSPORT: `unix://${socket}` };
    const { stdout } = await run(programPath("ndnd"), ["cat", `${place}/${repository}/32=tag/large`], { env });
    expect(JSON.parse(stdout).annotations.salt).toHaveLength(100_000); // by a tool that knows metadata only
  });

  test("many pullers of one tag cost its registry one HEAD in two seconds and server, and one read", async () => {
    const digest = await push("crowded", 1_000);
    const pullers = await Promise.all(Array.from({ length: 50 }, openPuller));
    const begin = performance.now();
    while (performance.now() - begin < 6_000)
      await Promise.all(pullers.map((puller, i) => ask(puller, tag("crowded"), { isUnique: i % 10 === 0 })));
    const seconds = (performance.now() - begin) / 1_000;
    const requests = await registry.requests();
    const heads = requests.filter((line) => line.startsWith(`HEAD /v2/${repository}/manifests/crowded `)).length;
    expect(heads).toBeLessThanOrEqual(2 * (seconds / 2 + 1));
    expect(
      requests.filter((line) => line.startsWith(`GET /v2/${repository}/manifests/${digest} `)).length,
    ).toBeLessThan(3);
  });

  test("a tag that has moved is seen through the forwarder's cache in about four seconds", async () => {
    await push("moving", 1_000, "before");
    const puller = await openPuller();
    await ask(puller, tag("moving"));
    const after = await push("moving", 1_000, "after");
    const movedAt = performance.now();
    await until("the tag to move", async () => (await ask(puller, tag("moving")))?.digest === after);
    expect(performance.now() - movedAt).toBeLessThan(8_000); // 4.5 s on a machine that does nothing else
  });
});
