/**
 * "checked": what it costs that each packet is compared with a signed digest list before a byte of it leaves.
 */
import { join } from "node:path";
import { freePort } from "#test/support/free-port.ts";
import type { RunningProgram } from "#test/support/running-program.ts";
import { checkFile, curl, watchUpstream } from "./download.ts";
import { untilFirstByte } from "./first-byte.ts";
import { type Rig, startRig } from "./rig.ts";
import {
  measureEach,
  measureRounds,
  type Note,
  type Scenario,
  thereAndBack,
  timed,
  usualSizeBytes,
} from "./scenario.ts";

const rate = { needed: 0.85, aim: 1 };
const firstByteLater = { needed: 10, aim: 5 };

const names = {
  ndnd: "through ndnd",
  ndndComputed: "through ndnd, with an anchor, lists computed",
  ndndRemembered: "through ndnd, with an anchor, lists remembered",
  face: "direct face",
  faceComputed: "direct face, with an anchor, lists computed",
  faceRemembered: "direct face, with an anchor, lists remembered",
} as const;

/** With an anchor, and without. */
const ratios = [
  [names.ndndComputed, names.ndnd],
  [names.ndndRemembered, names.ndnd],
  [names.faceComputed, names.face],
  [names.faceRemembered, names.face],
] as const;

/**
 * Every round moves fresh blobs with and without an anchor, through ndnd and over a direct face; the last one again by
 * others, when the server remembers its lists. The forwarder's store does not know that one, and the server's page cache
 * is smaller than it.
 */
export const checked: Scenario = {
  name: "checked",
  title: "checked: one cold blob with and without --anchor",
  async run(context) {
    await using owned = new AsyncDisposableStack();
    const rig = await startRig(context, owned);
    const anchor = join(await rig.folderOf("server"), "anchor.ndncert");
    const direct = `tcp://127.0.0.1:${await freePort()}`;
    await rig.server("server", ["--uplink", rig.uplink, "--face", direct, "--export-anchor", anchor]);
    const env = { DOCKER_NDN_ANCHOR: anchor };
    const ndnd = {
      plain: await rig.client("plain", rig.uplink),
      checked: await rig.client("checked", rig.uplink, env),
    };
    const face = {
      plain: await rig.client("face-plain", direct),
      checked: await rig.client("face-checked", direct, env),
      again: await rig.client("face-again", direct, env),
    };
    const sizeBytes = context.sizeBytes ?? usualSizeBytes;
    const figures = await measureRounds(context, async (note, round) => {
      const fresh = async () => (await rig.freshBlob(sizeBytes)).digest;
      const seconds = new Map<string, number>();
      const move = async (name: string, client: RunningProgram, digest: string) => {
        seconds.set(name, await pull(rig, client, digest));
        note({ name, unit: "MB/s" }, sizeBytes / 1e6 / seconds.get(name)!);
      };
      const moves = [
        async () => move(names.ndnd, ndnd.plain, await fresh()),
        async () => move(names.ndndComputed, ndnd.checked, await fresh()),
        async () => move(names.face, face.plain, await fresh()),
        async () => {
          const digest = await fresh();
          await move(names.faceComputed, face.checked, digest);
          await move(names.faceRemembered, face.again, digest);
          await move(names.ndndRemembered, ndnd.checked, digest);
        },
      ];
      for (const one of thereAndBack(moves, round)) await one();
      for (const [checkedName, plainName] of ratios) {
        const name = `${checkedName} : without`;
        note({ name, unit: "times as fast", goal: rate }, seconds.get(plainName)! / seconds.get(checkedName)!);
      }
      await noteFirstBytes(rig, ndnd, sizeBytes, note, round);
    });
    return { sizeBytes, figures };
  },
};

async function noteFirstBytes(
  rig: Rig,
  { plain, checked: anchored }: { plain: RunningProgram; checked: RunningProgram },
  sizeBytes: number,
  note: Note,
  round: number,
): Promise<void> {
  const [plainMs, checkedMs] = await measureEach([plain, anchored], round, ({ url }) =>
    untilFirstByte(rig, url, sizeBytes, "ndn"),
  );
  note({ name: "first byte", unit: "ms" }, plainMs);
  note({ name: "first byte, with an anchor", unit: "ms" }, checkedMs);
  note({ name: "first byte: later with an anchor", unit: "ms", goal: firstByteLater }, checkedMs - plainMs);
}

/** Seconds that curl takes; all bytes have to be right and from NDN. */
async function pull(rig: Rig, client: RunningProgram, digest: string): Promise<number> {
  const file = join(rig.folder, "output");
  const upstream = await watchUpstream([client]);
  const seconds = await timed(() => curl([{ endpoint: client.url, digest, file }]));
  await checkFile(file, digest);
  await upstream(() => undefined, "");
  return seconds;
}
