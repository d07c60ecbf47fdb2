/** Programs that die, freeze, run out of descriptors or find their clock changed; readers that are slow or gone. */
import { programPath } from "#test/support/programs.ts";
import { run } from "#test/support/run.ts";
import { descriptorsOf } from "./probe.ts";
import type { Rig } from "./rig.ts";
import { cachedBytes, type FaultCase, type Scene, streamedBytes } from "./scene.ts";

type Half = "client" | "server";

/** For a rig with and without a forwarder. */
export const programCases: readonly FaultCase[] = [
  { name: "server killed in mid-blob", run: (scene) => endServer(scene, "SIGKILL") },
  { name: "server stopped in mid-blob", run: (scene) => endServer(scene, "SIGTERM") },
  { name: "server killed and started again in mid-blob", isShort: true, run: restartInMidBlob },
  {
    name: "server frozen in mid-blob",
    run: (scene) => freeze(scene, () => scene.rig.server.process.signal("SIGSTOP")),
  },
];

/** For a rig with a forwarder. */
export const forwarderCases: readonly FaultCase[] = [
  { name: "forwarder killed in mid-blob", run: (scene) => killForwarder(scene) },
  {
    isShort: true,
    name: "forwarder killed and started again in mid-blob",
    run: (scene) =>
      scene.pullAcross(streamedBytes, async () => {
        await scene.rig.forwarder?.kill();
        await scene.rig.restartForwarder();
      }),
  },
  {
    name: "forwarder frozen in mid-blob",
    run: (scene) => freeze(scene, () => scene.rig.forwarder?.signal("SIGSTOP")),
  },
];

/** Readers, and what the machine can do to a program. */
export const hostCases: readonly FaultCase[] = [
  {
    isShort: true,
    name: "slow reader",
    run: (scene) => scene.pull(scene.freshBlob(streamedBytes), { pause: { afterBytes: 1_000_000, ms: 1_500 } }),
  },
  {
    name: "a reader slower than the stall timeout",
    run: (scene) => scene.pull(scene.freshBlob(streamedBytes), { pause: { afterBytes: 500_000, ms: 6_000 } }),
  },
  { name: "eight readers that vanish", isShort: true, run: (scene) => vanish(scene, 1_000_000) },
  { name: "eight readers that vanish at the first byte", run: (scene) => vanish(scene, 1) },
  {
    name: "client out of descriptors",
    isShort: true,
    mayBreak: true,
    run: (scene) => withoutDescriptors(scene, "client"),
  },
  { name: "server out of descriptors", run: (scene) => withoutDescriptors(scene, "server") },
  ...(["client", "server"] as const).flatMap((half) =>
    [-1, 1].map((days) => ({
      isShort: half === "client" && days > 0,
      name: `${half}'s clock jumps by ${days} day in mid-blob`,
      run: (scene: Scene) => jump(scene, half, days * 86_400_000),
    })),
  ),
];

function endServer(scene: Scene, signal: "SIGKILL" | "SIGTERM") {
  const { rig } = scene;
  scene.defer(() => rig.restartServer());
  return scene.pullAcross(streamedBytes, async () => {
    rig.server.process.signal(signal);
    await rig.server.process.ended();
  });
}

function restartInMidBlob(scene: Scene) {
  return scene.pullAcross(streamedBytes, async () => {
    await scene.rig.server.process.kill();
    await scene.rig.restartServer();
  });
}

function killForwarder(scene: Scene) {
  scene.defer(() => scene.rig.restartForwarder());
  return scene.pullAcross(streamedBytes, async () => scene.rig.forwarder?.kill());
}

/** A frozen program keeps its connections and says nothing; it thaws after the case. */
function freeze(scene: Scene, stop: () => void) {
  scene.defer(() => {
    for (const process of [scene.rig.server.process, scene.rig.forwarder]) process?.signal("SIGCONT");
  });
  return scene.pullAcross(streamedBytes, stop);
}

function vanish(scene: Scene, leaveAfterBytes: number) {
  const read = () => scene.pull(scene.freshBlob(streamedBytes), { leaveAfterBytes });
  return Promise.all(Array.from({ length: 8 }, read));
}

/** As many descriptors as it has, and two more; eight pulls at once want more than that. */
async function withoutDescriptors(scene: Scene, half: Half) {
  const { pid } = scene.rig[half].process;
  await limitDescriptors(pid, (await descriptorsOf(pid)).length + 2);
  scene.defer(() => limitDescriptors(pid, 1_024));
  return Promise.all(Array.from({ length: 8 }, () => scene.pull(scene.freshBlob(cachedBytes))));
}

/** The soft limit, which can be raised again. */
async function limitDescriptors(pid: number, soft: number): Promise<void> {
  await run(programPath("prlimit"), ["--pid", String(pid), `--nofile=${soft}:`]);
}

async function jump(scene: Scene, half: Half, offsetMs: number) {
  const { rig }: { rig: Rig } = scene;
  scene.defer(async () => void (await rig.probe(half, 0)));
  const across = await scene.pullAcross(streamedBytes, async () => void (await rig.probe(half, offsetMs)));
  return [across, await scene.pull(scene.freshBlob(cachedBytes))];
}
