/** Faults that a program is started with: certificates that nobody trusts, disks that are full. */
import { execFileSync } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { clientOptions } from "#cli/client-options.ts";
import { testEnvironment } from "#test/support/environment.ts";
import { programPath } from "#test/support/programs.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { useStage } from "#test/support/stage.ts";
import type { Pull } from "./pull.ts";
import { type Rig, type RigOptions, startRig } from "./rig.ts";
import { cachedBytes, Scene, streamedBytes } from "./scene.ts";

const stage = useStage();
const patience = { timeout: 60_000 };

async function rigNamed(name: string, options: Partial<RigOptions> = {}): Promise<{ rig: Rig; scene: Scene }> {
  const { folder = await stage.newFolder(name) } = options;
  const rig = stage.own(await startRig({ ...options, folder }));
  return { rig, scene: new Scene(rig, name, 1) };
}

/** The folder of a rig, with the server's in it, where the server's state will be in `state`. */
async function folderWithServer(name: string): Promise<string> {
  const folder = await stage.newFolder(name);
  await mkdir(join(folder, "server"));
  return folder;
}

function pullBoth(scene: Scene): Promise<Pull[]> {
  return Promise.all([cachedBytes, streamedBytes].map((size) => scene.pull(scene.freshBlob(size))));
}

const outcomes = (pulls: readonly Pull[]) => pulls.map(({ outcome }) => outcome);

describeWith(["openssl"], "a registry with a certificate that nobody trusts", () => {
  /** An HTTPS server that would answer everything, had anybody the courage to ask. */
  async function selfSigned(): Promise<string> {
    const [key, cert] = [join(stage.folder, "key.pem"), join(stage.folder, "cert.pem")];
    const subject = ["-subj", "/CN=localhost", "-days", "1", "-nodes"];
    const names = ["req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", cert];
    await run(programPath("openssl"), [...names, ...subject]);
    const pair = { key: await readFile(key), cert: await readFile(cert) };
    const server = createServer(pair, (_, response) => response.end("{}")).listen(0, "127.0.0.1");
    server.on("tlsClientError", () => undefined);
    await new Promise<void>((resolve) => server.once("listening", () => resolve()));
    stage.own({ [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) });
    return `https://localhost:${(server.address() as AddressInfo).port}`;
  }

  test(
    "as the upstream: nothing is released that it would have to allow, and the answer comes soon",
    patience,
    async () => {
      const { scene } = await rigNamed("tls-upstream", { upstreamUrl: await selfSigned() });
      const pulls = await pullBoth(scene);
      expect(outcomes(pulls)).toEqual(["break", "break"]);
      for (const { ms, bytes } of pulls) {
        expect(ms).toBeLessThan(10_000);
        expect(bytes).toBeLessThan(1_000); // an error's JSON
      }
    },
  );

  test("as an upstream that is not asked for permission: the bytes come over NDN", patience, async () => {
    const args = ["--authorize", "none"];
    const { scene } = await rigNamed("tls-open", { upstreamUrl: await selfSigned(), clientArgs: args });
    expect(outcomes(await pullBoth(scene))).toEqual(["right", "right"]);
  });

  test("as the server's registry: the bytes come from the upstream", patience, async () => {
    const { scene } = await rigNamed("tls-server", { registryUrl: await selfSigned() });
    expect(outcomes(await pullBoth(scene))).toEqual(["right", "right"]);
  });
});

describeWith(["root", "mount", "umount"], "a disk that is full", () => {
  /** A file system of 64 KiB with not a byte left. */
  async function fullDisk(name: string): Promise<string> {
    const path = await stage.newFolder(name);
    await run(programPath("mount"), ["-t", "tmpfs", "-o", "size=64k,nr_inodes=16", "none", path]);
    // not run(): a test runner that is stopped half-way still unmounts
    stage.own({
      [Symbol.asyncDispose]: async () =>
        void execFileSync(programPath("umount"), ["-l", path], { env: testEnvironment() }),
    });
    await writeFile(join(path, "filler"), Buffer.alloc(64 * 1024)).catch(() => undefined);
    return path;
  }

  test("under the server's state: it serves as if nothing were", patience, async () => {
    const folder = await folderWithServer("full-state");
    await symlink(await fullDisk("disk-1"), join(folder, "server/state"));
    const { rig, scene } = await rigNamed("full-state", { folder });
    expect(outcomes(await pullBoth(scene))).toEqual(["right", "right"]);
    await rig.server.process.stop();
    expect(rig.server.process.exit).toBe(0);
  });

  const hasStore = "cacheDir" in clientOptions;
  test.skipIf(!hasStore)("under the client's cache: it serves as if there were none", patience, async () => {
    const { rig, scene } = await rigNamed("full-cache", { clientArgs: ["--cache-dir", await fullDisk("disk-2")] });
    expect(outcomes(await pullBoth(scene))).toEqual(["right", "right"]);
    await rig.client.process.stop();
    expect(rig.client.process.exit).toBe(0);
  });
});

test("a state directory that cannot be made costs a server nothing", patience, async () => {
  const folder = await folderWithServer("no-state");
  await writeFile(join(folder, "server/state"), "a file");
  const { scene } = await rigNamed("no-state", { folder });
  expect(outcomes(await pullBoth(scene))).toEqual(["right", "right"]);
});
