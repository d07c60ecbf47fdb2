/**
 * `npm run profile`: where server and client spend their time while cold blobs flow, through ndnd and over a direct face.
 *
 *     npm run profile -- --rounds 5 --size 100000000 --only ndnd-udp,direct-udp
 */
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { freePort } from "#test/support/free-port.ts";
import { checkout, missingPrograms } from "#test/support/programs.ts";
import type { RunningProgram } from "#test/support/running-program.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { checkFile, curl } from "./download.ts";
import { type CpuProfile, hotSpots } from "./hot-spots.ts";
import { rounded } from "./report.ts";
import { type Rig, startRig } from "./rig.ts";
import { usualSizeBytes } from "./scenario.ts";

const profilesFolder = join(checkout, "runtime/profiles");

interface Load {
  readonly rounds: number;
  readonly sizeBytes: number;
}

/** Run a server and a client under the profiler; it writes when they end. */
async function profilePath(rig: Rig, pathName: string, serverArgs: readonly string[], uplink: string, load: Load) {
  const server = await rig.server(`${pathName}-server`, serverArgs, await profiled(`${pathName}-server`));
  const client = await rig.client(`${pathName}-client`, uplink, await profiled(`${pathName}-client`));
  await transferAll(rig, client, { ...load, rounds: 1 }); // warms up
  const fromMicros = Number(process.hrtime.bigint() / 1000n);
  await transferAll(rig, client, load);
  await client.process.stop();
  await server.process.stop();
  for (const program of ["server", "client"]) await print(`${pathName}-${program}`, fromMicros);
}

/** The environment that makes a program write a profile into a folder of its own. */
async function profiled(name: string): Promise<Record<string, string>> {
  const folder = join(profilesFolder, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${JSON.stringify(folder)}` };
}

async function transferAll(rig: Rig, client: RunningProgram, { rounds, sizeBytes }: Load): Promise<void> {
  const file = join(rig.folder, "output");
  for (let round = 1; round <= rounds; round++) {
    const { digest } = await rig.freshBlob(sizeBytes);
    await curl([{ endpoint: client.url, digest, file }]);
    await checkFile(file, digest);
  }
}

async function print(name: string, fromMicros: number): Promise<void> {
  const folder = join(profilesFolder, name);
  for (const file of await readdir(folder)) {
    const path = join(folder, file);
    const spots = hotSpots(JSON.parse(await readFile(path, "utf8")) as CpuProfile, fromMicros, checkout);
    console.log(`\n${name}: ${path}`);
    console.table(
      spots.slice(0, 20).map(({ name, place, selfMs, share }) => ({
        function: name,
        place,
        "self ms": rounded(selfMs),
        "% of busy": rounded(share * 100),
      })),
    );
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      size: { type: "string", default: `${usualSizeBytes}` },
      only: { type: "string", default: "ndnd,direct" },
    },
  });
  const missing = missingPrograms(["ndnd", "docker-registry", "curl"]);
  if (missing.length > 0) throw new Error(`these programs are needed: ${missing.join(", ")} (see CONTRIBUTING.md)`);
  const load = { rounds: Number(values.rounds), sizeBytes: Number(values.size) };
  await using owned = new AsyncDisposableStack();
  const { path } = owned.use(await makeTemporaryFolder());
  const rig = await startRig({ folder: path }, owned);
  const [tcp, udp] = [`tcp://127.0.0.1:${await freePort()}`, `udp://127.0.0.1:${await freePort()}`];
  const paths: Record<string, readonly [server: readonly string[], uplink: string]> = {
    ndnd: [["--uplink", rig.uplink], rig.uplink],
    direct: [["--face", tcp], tcp],
    "ndnd-udp": [["--uplink", rig.uplink], rig.udpUplink],
    "direct-udp": [["--face", udp], udp],
  };
  for (const name of values.only.split(",")) {
    const path = paths[name];
    if (path === undefined) throw new Error(`no path "${name}": there are ${Object.keys(paths).join(", ")}`);
    await profilePath(rig, name, path[0], path[1], load);
  }
}

// An exit by itself, unlike one by a signal, stops what was started.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
main().catch((err: unknown) => {
  console.error(`profile: ${(err as Error).message}`);
  process.exitCode = 1;
});
