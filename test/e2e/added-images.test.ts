/** An image that the client was told to fetch: over NDN, and there for its pullers when all else is gone. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkout, programPath } from "#test/support/programs.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { blobBytes, startClient } from "#test/support/running-program.ts";
import { pushSmallImage } from "#test/support/small-image.ts";
import { useStage } from "#test/support/stage.ts";
import { overNdnOnly, prefix, startWholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/added";

describeWith([...wholePathPrograms, "skopeo", "busybox"], "cache add", () => {
  const stage = useStage();

  test("brings an image over NDN, and it is pulled after a restart while the registry is stopped", {
    timeout: 90_000,
  }, async () => {
    const path = await startWholePath(stage, { client: overNdnOnly });
    const image = await pushSmallImage(path.registry.url, repository, randomBytesOf("added", 5_000_000));
    const folder = join(stage.folder, "client");
    const cache = async (...args: string[]) => {
      const command = [join(checkout, "cli/main.js"), "cache", ...args, "--cache-dir", join(folder, "runtime/cache")];
      return (await run(process.execPath, command, { cwd: folder })).stdout;
    };
    expect(await cache("add", repository)).toMatch(/ is cached: \d blobs, 5\.\d MiB \(5\.\d MiB from ndn\)/);
    expect(await cache("pin", repository)).toContain("is pinned");
    expect(await blobBytes(path.client)).toEqual({ ndn: 0, upstream: 0, store: 0 }); // no puller has had any yet
    await path.client.process.stop();
    await path.registry.process.stop();
    expect(await cache("ls")).toMatch(new RegExp(`${path.registry.host}/${repository} +latest .* pinned\n1 image, `));
    expect(await cache("prune", "--to", "0")).toBe("0 blobs removed, 0 B freed\n");

    const again = ["--name", prefix, "--uplink", `unix://${path.socket}`, "--upstream", path.registry.url];
    const client = stage.own(await startClient({ folder, args: again, mayBeUnready: true }));
    const copied = join(stage.folder, "copied");
    const source = `docker://${client.host}/${repository}:latest`;
    await run(programPath("skopeo"), ["copy", "--insecure-policy", "--src-tls-verify=false", source, `dir:${copied}`]);
    for (const digest of image.digests) expect(digestOf(await readFile(join(copied, digest.slice(7))))).toBe(digest);
    expect(await blobBytes(client)).toEqual({ ndn: 0, upstream: 0, store: image.blobBytes });
  });
});
