/** `ndn-registry cache` by image: through the client that is running, and on the files of one that is not. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { useImageStage } from "#test/client/images/stage.ts";
import { patternBlob } from "#test/support/registry.ts";
import { runExecutable } from "./executable.ts";

const stage = useImageStage();

function cache(...args: string[]) {
  return runExecutable(["cache", ...args, "--cache-dir", stage.directory], { cwd: stage.directory });
}

/** Start the client, and say where it is asked. */
async function start(): Promise<void> {
  await stage.start();
  await writeFile(join(stage.directory, "admin.json"), JSON.stringify({ url: stage.endpoint.url.origin }));
}

/** Two images that share a layer, added; afterwards the client runs, or not. */
async function twoImages(isRunning: boolean) {
  const app = stage.registry.addImage("team/app", "1.0", [patternBlob(100_000, 1), patternBlob(20_000, 2)]);
  stage.registry.addImage("library/web", "latest", [patternBlob(100_000, 1), patternBlob(20_000, 3)]);
  await start();
  const { status, stdout, stderr } = await cache("add", "team/app:1.0", "library/web");
  expect([status, stderr]).toEqual([0, ""]);
  const line = (name: string) =>
    `${stage.host}/${name} is cached: 3 blobs, 117 KiB \\(.* from upstream\\), \\d+\\.\\d s`;
  expect(stdout).toMatch(new RegExp(`^${line("team/app:1.0")}\n${line("library/web:latest")}\n$`));
  if (!isRunning) await stage.stop();
  return app;
}

describe.each([
  ["through the client that is running", true],
  ["while no client is running", false],
] as const)("%s", (_way, isRunning) => {
  test("ls lists images with digest, size and last use, and the totals", async () => {
    const app = await twoImages(isRunning);
    const { stdout, stderr, status } = await cache("ls");
    expect([status, stderr]).toEqual([0, ""]);
    const [head, ...rows] = stdout.trimEnd().split("\n");
    expect(head).toMatch(/^REPOSITORY +TAG +DIGEST +SIZE +LAST USED$/);
    expect(rows).toHaveLength(3);
    const row = rows.find((line) => line.includes("team/app"));
    expect(row!.split(/ {2,}/)).toEqual([
      `${stage.host}/team/app`,
      "1.0",
      app.manifest.slice(7, 19),
      "118 KiB",
      expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    ]);
    expect(rows[2]).toMatch(/^2 images, 7 blobs, 13\d KiB/);
  });

  test("ls --json has images with their blobs, and every blob", async () => {
    const app = await twoImages(isRunning);
    const listing = JSON.parse((await cache("ls", "--json")).stdout);
    expect(listing.images).toHaveLength(2);
    const image = listing.images.find(({ digest }: { digest: string }) => digest === app.manifest);
    expect(image.blobs.toSorted()).toEqual([app.manifest, app.config, ...app.layers].toSorted());
    expect(listing.blobs).toHaveLength(7);
    expect(JSON.parse((await cache("ls", "--format", "json")).stdout)).toEqual(listing);
  });

  test("rm forgets an image by name or short digest, and says what that freed", async () => {
    const app = await twoImages(isRunning);
    const { status, stdout, stderr } = await cache("rm", "nowhere/app", app.manifest.slice(7, 19));
    expect(stdout).toMatch(new RegExp(`^${stage.host}/team/app:1\\.0 is removed: 3 blobs, 20\\.\\d KiB freed\n$`));
    expect([status, stderr]).toEqual([1, "ndn-registry: not in the cache: nowhere/app\n"]);
    expect((await cache("rm", "web")).stdout).toMatch(/web:latest is removed: 4 blobs, 118 KiB freed/);
    expect((await cache("ls")).stdout).toMatch(/^0 blobs, 0 B/);
  });

  test("pin keeps an image from prune and rm until unpin", async () => {
    await twoImages(isRunning);
    const name = `${stage.host}/team/app:1.0`;
    expect((await cache("pin", "app:1.0")).stdout).toBe(`${name} is pinned: 118 KiB\n`);
    expect((await cache("ls")).stdout).toMatch(/app +1\.0 .* pinned\n/);
    const refused = await cache("rm", "app:1.0");
    expect([refused.status, refused.stderr]).toEqual([1, `ndn-registry: ${name} is pinned: unpin it first\n`]);
    expect((await cache("prune", "--to", "0")).stdout).toMatch(/^3 blobs removed, 20\.\d KiB freed\n$/);
    expect((await cache("unpin", "app:1.0")).stdout).toBe(`${name} is no longer pinned\n`);
    const again = await cache("unpin", "app:1.0");
    expect([again.status, again.stderr]).toEqual([1, "ndn-registry: app:1.0 is not pinned\n"]);
    expect((await cache("prune", "--to", "0")).stdout).toBe("4 blobs removed, 118 KiB freed\n");
  });
});

test("add needs a client that is running, and says so", async () => {
  await twoImages(false);
  const { status, stderr } = await cache("add", "team/app:1.0");
  expect([status, stderr]).toEqual([
    1,
    "ndn-registry: it is the client that fetches an image: start it, then try again\n",
  ]);
});

test("add says what is wrong in one line, whether it begins or not", async () => {
  const image = stage.registry.addImage("team/app", "1.0", [patternBlob(1_000, 1)]);
  stage.registry.open("team/app").blobs.delete(image.layers[0]!);
  await start();
  for (const [name, message] of [
    ["team/app:2.0", "the registry has no team/app:2.0"],
    ["team/app:1.0", `the registry refuses ${image.layers[0]} of team/app`],
    ["ghcr.example/app", `this endpoint serves ${stage.host}, not ghcr.example`],
  ] as const) {
    const { status, stderr } = await cache("add", name);
    expect([status, stderr]).toEqual([1, `ndn-registry: ${message}\n`]);
  }
});
