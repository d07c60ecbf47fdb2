/**
 * A stand-in for `node:24-slim` made on this machine, because a test cannot rely on an image from elsewhere:
 * a minimal Debian with the Node that runs the tests, and npm.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, cp, mkdir, mkdtemp, realpath, rename, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { programPath } from "../programs.ts";
import { run } from "../run.ts";
import type { Dockerd } from "./dockerd.ts";

/** Programs that {@link importBaseImage} needs. */
export const baseImagePrograms = ["root", "debootstrap", "npm", "tar", "apt-get"] as const;

/** Have the base image in this engine under `tag`; the file system is kept in a cache folder for the next time. */
export async function importBaseImage(engine: Dockerd, tag: string): Promise<void> {
  const tarball = await baseTarball();
  const changes = Object.entries(await buildEnvironment()).flatMap(([name, value]) => ["-c", `ENV ${name}=${value}`]);
  await engine.docker("import", ...changes, tarball, tag);
}

/** Package sources are outside this machine, and reached through its own proxies, certificates and settings. */
const env = process.env;

/** Where the package manager inside a build finds its registry: where the machine's own finds it. */
async function buildEnvironment(): Promise<Record<string, string>> {
  const { stdout } = await run(programPath("npm"), ["config", "get", "registry"], { env });
  return { npm_config_registry: stdout.trim(), NODE_EXTRA_CA_CERTS: certificates };
}

async function baseTarball(): Promise<string> {
  const cache = process.env.NDN_REGISTRY_TEST_CACHE ?? join(tmpdir(), "ndn-registry-test-cache");
  const inputs = [process.version, process.arch, await npmFolder()];
  const key = createHash("sha256").update(inputs.join("\n")).digest("hex").slice(0, 12);
  const tarball = join(cache, `base-${key}.tar`);
  await mkdir(cache, { recursive: true });
  if (!existsSync(tarball)) await makeTarball(cache, tarball);
  return tarball;
}

async function makeTarball(cache: string, tarball: string): Promise<void> {
  const folder = await mkdtemp(join(cache, "base-"));
  const root = join(folder, "root");
  try {
    const packages = "--include=libstdc++6,libatomic1,ca-certificates";
    const { codename, mirror } = await aptSource();
    await run(programPath("debootstrap"), ["--variant=minbase", packages, codename, root, mirror], {
      env,
      timeoutMs: 240_000,
    });
    await addNode(root);
    await run("tar", ["-C", root, "-cf", join(folder, "base.tar"), "--exclude=./var/cache/apt/archives/*.deb", "."]);
    await rename(join(folder, "base.tar"), tarball);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function addNode(root: string): Promise<void> {
  await copyFile(process.execPath, join(root, "usr/local/bin/node"));
  await cp(await npmFolder(), join(root, "usr/local/lib/node_modules/npm"), { recursive: true });
  await symlink("../lib/node_modules/npm/bin/npm-cli.js", join(root, "usr/local/bin/npm"));
  if (existsSync(certificates)) await copyFile(certificates, join(root, certificates));
}

/** Folder of the npm package that `npm` on the PATH belongs to. */
async function npmFolder(): Promise<string> {
  return dirname(dirname(await realpath(programPath("npm"))));
}

/** The release and mirror that this machine's own packages come from. */
async function aptSource(): Promise<{ codename: string; mirror: string }> {
  const format = ["--format", "$(CODENAME) $(REPO_URI) $(COMPONENT)", "Created-By: Packages"];
  const { stdout } = await run(programPath("apt-get"), ["indextargets", ...format], { env });
  const [, codename, mirror] = /^([a-z]+) (\S+) main$/m.exec(stdout) ?? [];
  if (codename === undefined || mirror === undefined) throw new Error(`no Debian mirror in apt's sources:\n${stdout}`);
  return { codename, mirror };
}

const certificates = "/etc/ssl/certs/ca-certificates.crt";
