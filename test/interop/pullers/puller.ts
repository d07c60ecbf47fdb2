/**
 * What the matrix has each program do. Images are named `HOST:PORT/REPOSITORY:TAG` or `…@DIGEST`, of a registry without
 * TLS on 127.0.0.1.
 */
import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { programPath } from "#test/support/programs.ts";
import { digestOf } from "#test/support/random-bytes.ts";
import { run } from "#test/support/run.ts";

/** What a puller says to a registry that asks for it. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

/** A program that moves images; what it keeps lies in a folder of its own. */
export interface Puller extends AsyncDisposable {
  readonly name: string;
  /** Pull an image that it does not have, and forget it; resolves with what came, the same for the same image. */
  pull(image: string, login: Login | undefined): Promise<readonly string[]>;
  /** Pull by the registry's own name, at `endpoint` first, where the program has mirrors for any registry. */
  pullByMirror?(image: string, login: Login | undefined, endpoint: string): Promise<readonly string[]>;
  /** Push the sample under this name. */
  push(image: string, login: Login | undefined): Promise<void>;
  /** Its command that tries a login before it keeps it, where it has one. */
  logIn?(host: string, login: Login): Promise<void>;
}

/** An image in the forms in which programs take it. */
export interface Sample {
  /** An OCI image layout with one image, tagged `latest`. */
  readonly layout: string;
  /** A tar archive of it. */
  readonly ociArchive: string;
  /** What `docker load` takes; the image is called `sample:latest`. */
  readonly dockerArchive: string;
}

/** How a puller is started: `folder` is empty and its own. */
export type StartPuller = (folder: string, sample: Sample) => Promise<Puller>;

/** Write an image of a registry that needs no login into files in a folder. */
export async function exportSample(image: string, folder: string): Promise<Sample> {
  const [layout, ociArchive, dockerArchive] = ["layout", "oci.tar", "docker.tar"].map((name) => join(folder, name));
  const copy = ["copy", "--insecure-policy", "--src-tls-verify=false", `docker://${image}`];
  await run(programPath("skopeo"), [...copy, `oci:${layout}:latest`]);
  await run(programPath("skopeo"), [...copy, `oci-archive:${ociArchive}:latest`]);
  await run(programPath("skopeo"), [...copy, `docker-archive:${dockerArchive}:sample:latest`]);
  return { layout: layout!, ociArchive: ociArchive!, dockerArchive: dockerArchive! };
}

/** Make a folder with a `config.json` as `docker login` writes it, so that no one's own logins are used. */
export async function loginFolder(folder: string, host: string, login: Login | undefined): Promise<string> {
  const made = await mkdtemp(join(folder, "login-"));
  const auth = Buffer.from(`${login?.username}:${login?.password}`).toString("base64");
  await writeFile(
    join(made, "config.json"),
    JSON.stringify({ auths: login === undefined ? {} : { [host]: { auth } } }),
  );
  return made;
}

/** The registry of an image's name. */
export function hostOf(image: string): string {
  return image.slice(0, image.indexOf("/"));
}

/** Digests of all files below a folder, sorted. */
export async function contentOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const digests = files.map(async ({ parentPath, name }) => digestOf(await readFile(join(parentPath, name))));
  return (await Promise.all(digests)).sort();
}
