/**
 * Packets that were valid once, into a server and into a client. `NDN_REGISTRY_FUZZ=n` says how many; without it, a
 * thousand each. As many come before, to bring the memory to the size that such a load gives it.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Digest } from "#oci/reference.ts";
import type { Mangle } from "#test/support/link/link.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { seededRandom } from "#test/support/seeded-random.ts";
import { useStage } from "#test/support/stage.ts";
import { framed, fuzzed, validInterests } from "./fuzzed-packets.ts";
import { expectNoGrowth, expectWell, sizeOf, warmUp } from "./growth.ts";
import { type Pull, pull } from "./pull.ts";
import { prefix, type Rig, repository, startRig } from "./rig.ts";
import { Scene } from "./scene.ts";

const packets = Number(process.env.NDN_REGISTRY_FUZZ ?? 1_000);
const seed = Number(process.env.NDN_REGISTRY_FUZZ_SEED ?? 1);
const stage = useStage();

async function rigNamed(name: string): Promise<Rig> {
  const folder = await stage.newFolder(name);
  return stage.own(await startRig({ folder, seed }));
}

test("a server survives fuzzed packets without growing", { timeout: 240_000 }, async () => {
  const rig = await rigNamed("server");
  const scene = new Scene(rig, "fuzzed server", seed);
  await warmUp(rig, scene);
  const known = [1_000, 3_000_000].map((size) => rig.registry.addBlob(repository, randomBytesOf(`fuzz ${size}`, size)));
  const unknown = `sha256:${"ab".repeat(32)}` as Digest;
  const corpus = validInterests(prefix, repository, [...known, unknown]);
  const stranger = new Stranger(rig.path("s.sock"), seededRandom(seed), corpus);
  await stranger.send(packets);
  await stranger.leave();
  const before = await sizeOf(rig, "server");
  await stranger.send(packets);
  await stranger.leave();
  await expectWell(rig, "server");
  await expectNoGrowth(rig, "server", before, `server, ${packets} fuzzed packets, ${stranger.faces} faces`);
  await rig.untilNdnServes(() => scene.freshBlob(100_000));
});

/** Sends fuzzed packets; comes back on a new face whenever it has been thrown out. */
class Stranger {
  faces = 0;
  readonly #path: string;
  readonly #random: () => number;
  readonly #corpus: readonly Buffer[];
  #socket: Socket | undefined;

  constructor(path: string, random: () => number, corpus: readonly Buffer[]) {
    this.#path = path;
    this.#random = random;
    this.#corpus = corpus;
  }

  async send(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const packet = fuzzed(this.#corpus, this.#random);
      const isFramed = this.#random() < 0.97;
      const socket = await this.#open();
      if (!socket.write(isFramed ? framed(packet, this.#random) : packet)) {
        await drainedOrClosed(socket);
      }
      if (i % 50 === 0) await turn();
    }
  }

  async leave(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("close", () => resolve()).end();
    await promise;
  }

  async #open(): Promise<Socket> {
    if (this.#socket?.writable) return this.#socket;
    const socket = connect(this.#path);
    socket.on("error", () => socket.destroy());
    socket.resume();
    await once(socket, "connect");
    this.faces += 1;
    this.#socket = socket;
    return socket;
  }
}

function drainedOrClosed(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => {
    socket.off("drain", done).off("close", done);
    resolve();
  };
  socket.on("drain", done).on("close", done);
  return promise;
}

test("a client survives fuzzed packets without growing or passing on wrong bytes", { timeout: 240_000 }, async () => {
  const rig = await rigNamed("client");
  const scene = new Scene(rig, "fuzzed client", seed);
  await warmUp(rig, scene);
  await pullUnderFuzz(rig, scene, packets);
  const before = await sizeOf(rig, "client");
  const pulls = await pullUnderFuzz(rig, scene, packets);
  await expectWell(rig, "client");
  const outcomes = new Set(pulls.map(({ outcome }) => outcome));
  expect([...outcomes].filter((outcome) => outcome !== "right" && outcome !== "break")).toEqual([]);
  const right = pulls.filter(({ outcome }) => outcome === "right").length;
  const what = `client, ${packets} fuzzed packets, ${pulls.length} pulls of which ${right} right, others broken off`;
  await expectNoGrowth(rig, "client", before, what);
  await rig.untilNdnServes(() => scene.freshBlob(100_000));
});

/** Pull until so many fuzzed packets have come beside the real ones. */
async function pullUnderFuzz(rig: Rig, scene: Scene, count: number): Promise<Pull[]> {
  const pulls: Pull[] = [];
  const begun = rig.relay.counters.mangled;
  rig.relay.down = { mangle: withFuzzedTwins };
  while (rig.relay.counters.mangled - begun < count) {
    const sizes = pulls.length % 4 === 0 ? [10_000_000] : [100_000, 1_000_000];
    const pullOne = (size: number) => {
      const digest = scene.freshBlob(size);
      return pull(rig.urlOf(digest), digest);
    };
    pulls.push(...(await Promise.all(sizes.map(pullOne))));
    scene.forget();
    if (!pulls.some(({ outcome }) => outcome === "right")) await rig.untilNdnServes(() => scene.freshBlob(1_000));
  }
  rig.calm();
  return pulls;
}

const seen: Buffer[] = [];

/** Half of the packets come with a fuzzed twin in front or behind; one in 3000 tears the stream. */
const withFuzzedTwins: Mangle = (packet, random) => {
  seen[seen.length < 50 ? seen.length : Math.floor(random() * 50)] = packet;
  if (random() < 0.5) return undefined;
  const twin = fuzzed([packet, packet, ...seen], random);
  if (random() < 1 / 3000) return { onward: [packet, twin] };
  const well = framed(twin, random);
  return { onward: random() < 0.5 ? [packet, well] : [well, packet] };
};
