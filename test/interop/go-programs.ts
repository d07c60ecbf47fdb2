/**
 * Pullers that come from Go modules, in the versions that the interoperation tests are about. Each is built once with
 * `go install`, into a folder of its version below `.interop/`.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkout, programPath } from "#test/support/programs.ts";
import { run } from "#test/support/run.ts";

interface GoProgram {
  /** Import path of its main package. */
  readonly package: string;
  readonly version: string;
  /** Build tags, comma-separated. */
  readonly tags?: string;
  /** Folder of a go.mod that names the version, for a module whose versions the Go proxy does not list. */
  readonly goModule?: string;
}

const containerd = { version: "v2.4.2", tags: "no_btrfs,no_devmapper,no_zfs" };

const programs = {
  containerd: { ...containerd, package: "github.com/containerd/containerd/v2/cmd/containerd" },
  ctr: { ...containerd, package: "github.com/containerd/containerd/v2/cmd/ctr" },
  crane: { version: "v0.22.1", package: "github.com/google/go-containerregistry/cmd/crane" },
  olareg: { version: "v0.2.2", package: "github.com/olareg/olareg/cmd/olareg", goModule: "test/interop/tools" },
  oras: { version: "v1.3.6", package: "oras.land/oras/cmd/oras" },
} satisfies Record<string, GoProgram>;

/** Path of a program that {@link setup} has built. */
export function goProgram(name: keyof typeof programs): string {
  return join(folderOf(name), name);
}

/** Build what is missing; vitest calls it before all tests. Needs Go, and takes some minutes the first time. */
export async function setup(): Promise<void> {
  for (const name of Object.keys(programs) as (keyof typeof programs)[]) {
    if (!existsSync(goProgram(name))) await build(name, programs[name]);
  }
}

async function build(name: keyof typeof programs, program: GoProgram): Promise<void> {
  const { package: path, version, tags = "", goModule } = program;
  console.info(`building ${name} ${version}`);
  const options = { env: { GOBIN: folderOf(name), CGO_ENABLED: "0" }, timeoutMs: 1_200_000 };
  const inModule = goModule === undefined ? [] : ["-C", join(checkout, goModule)];
  const target = goModule === undefined ? `${path}@${version}` : path;
  await run(programPath("go"), ["install", ...inModule, "-tags", tags, target], options);
}

function folderOf(name: keyof typeof programs): string {
  return join(checkout, ".interop", `${name}-${programs[name].version}`);
}
