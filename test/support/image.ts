import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Dockerd } from "./programs/dockerd.ts";
import { programPath } from "./programs.ts";
import { randomBytesOf } from "./random-bytes.ts";

/** Size of the largest layer of {@link buildWebImage}, before the tar and gzip around it. */
export const largeLayerBytes = 100 * 1024 * 1024;

/**
 * Build an image that prints "hello from the web image": busybox, a layer of 100 MiB that does not compress, and a
 * layer of a few bytes.
 *
 * @param folder - Of the build context; it is made.
 * @param tag - Of the image, e.g. `127.0.0.1:5000/team/app/web`.
 */
export async function buildWebImage(engine: Dockerd, folder: string, tag: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await copyFile(programPath("busybox"), join(folder, "busybox"));
  await writeFile(join(folder, "large"), randomBytesOf("large layer", largeLayerBytes));
  await writeFile(join(folder, "tiny"), "");
  await writeFile(join(folder, "Dockerfile"), dockerfile);
  await engine.docker("build", "--quiet", "--tag", tag, folder);
}

const dockerfile = `FROM scratch
COPY busybox /bin/busybox
COPY large /srv/large
COPY tiny /srv/tiny
ENTRYPOINT ["/bin/busybox"]
CMD ["echo", "hello from the web image"]
`;

/** Media types of what Docker pushes and of an index over it. */
export const mediaTypes = {
  manifest: "application/vnd.docker.distribution.manifest.v2+json",
  list: "application/vnd.docker.distribution.manifest.list.v2+json",
} as const;
