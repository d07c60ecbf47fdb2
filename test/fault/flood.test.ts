/**
 * A stranger asks a server for blobs that do not exist, several thousand times a second: the registry behind it sees a
 * bounded part of that, and everybody else is served meanwhile.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { digestOfHash } from "#oci/reference.ts";
import { seededRandom } from "#test/support/seeded-random.ts";
import { useStage } from "#test/support/stage.ts";
import { validInterests } from "./fuzzed-packets.ts";
import { expectNoGrowth, expectWell, sizeOf, warmUp } from "./growth.ts";
import type { Pull } from "./pull.ts";
import { prefix, type Rig, repository, startRig } from "./rig.ts";
import { Scene } from "./scene.ts";
import { printTable } from "./table.ts";

const perSecond = 5_000;
const seconds = 3;
/**
 * What the server allows strangers of what is not there: so many questions at once, and so many a second, of digests
 * (publish/publication.ts) and of what points at them (publish/pointers/pointed-objects.ts).
 */
const allowed = { atOnce: 500, perSecond: 100 };
/** A registry without referrers is asked for a tag instead: that is a second request. */
const requestsPerPointer = 2;
/** Of a digest, not of what refers to it. */
const ofDigest = /\/(blobs|manifests)\/sha256:/;
const stage = useStage();

test("a flood of random digests costs the registry little, and the others nothing", { timeout: 60_000 }, async () => {
  const rig = stage.own(await startRig({ folder: await stage.newFolder("rig") }));
  const scene = new Scene(rig, "flood", 1);
  for (const name of ["team/other", "library/alpine"]) rig.registry.open(name);
  await warmUp(rig, scene);
  await flood(rig); // brings the memory to the size that such a load gives it
  const before = await sizeOf(rig, "server");
  const asked = rig.registry.requests.length;
  const startedAtMs = performance.now();
  const flooding = flood(rig);
  const pulls: Pull[] = [];
  const good = new Set<string>();
  while (performance.now() - startedAtMs < (seconds - 0.5) * 1000) {
    const digest = scene.freshBlob(1_000_000);
    good.add(digest);
    pulls.push(await scene.pull(digest));
  }
  const sent = await flooding;
  const lastedSeconds = (performance.now() - startedAtMs) / 1000;
  const unknown = rig.registry.requests.slice(asked).filter(({ url }) => ![...good].some((d) => url.includes(d)));
  const slowest = Math.max(...pulls.map(({ ms }) => ms));
  printTable(
    `flood: ${sent} Interests for unknown blobs in ${lastedSeconds.toFixed(1)} s, ${unknown.length} requests reached the ` +
      `registry; meanwhile ${pulls.length} pulls of 1 MB, slowest ${slowest} ms\n`,
  );
  expect(pulls.map(({ outcome }) => outcome)).toEqual(pulls.map(() => "right"));
  const bound = allowed.atOnce + allowed.perSecond * (lastedSeconds + 1);
  const digests = unknown.filter(({ url }) => ofDigest.test(url));
  expect(digests.length).toBeLessThanOrEqual(bound);
  expect(unknown.length - digests.length).toBeLessThanOrEqual(requestsPerPointer * bound);
  await expectWell(rig, "server");
  await expectNoGrowth(rig, "server", before, "server after the flood");
});

/** Every kind of Interest for random digests in repositories that exist; resolves to how many were sent. */
async function flood(rig: Rig): Promise<number> {
  const random = seededRandom(1);
  const socket = connect(rig.path("s.sock"));
  socket.on("error", () => socket.destroy());
  socket.resume();
  await once(socket, "connect");
  const end = performance.now() + seconds * 1000;
  let sent = 0;
  while (performance.now() < end && socket.writable) {
    const batch = Array.from({ length: 10 }, () => strange(random)).flat();
    socket.write(Buffer.concat(batch));
    sent += batch.length;
    await delay((batch.length / perSecond) * 1000);
  }
  socket.destroy();
  return sent;
}

const repositories = [repository, "team/other", "library/alpine"];

function strange(random: () => number): Buffer[] {
  const digest = digestOfHash(Buffer.from(Array.from({ length: 32 }, () => Math.floor(random() * 256))));
  return validInterests(prefix, repositories[Math.floor(random() * repositories.length)]!, [digest]);
}
