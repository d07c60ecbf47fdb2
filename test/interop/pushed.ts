import { digestOf } from "#test/support/random-bytes.ts";
import type { Login } from "./pullers/puller.ts";

/** Digests of an image in a registry, its manifest's first; throws when the registry has not all of it, or other bytes. */
export async function imageIn(registry: string, repository: string, login: Login | undefined): Promise<string[]> {
  const proof = login && `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
  const read = async (path: string) => {
    const headers = { accept: manifestTypes, ...(proof && { authorization: proof }) };
    const answer = await fetch(`${registry}/v2/${repository}/${path}`, { headers });
    if (!answer.ok) throw new Error(`${path} of ${repository}: ${answer.status}`);
    return Buffer.from(await answer.arrayBuffer());
  };
  const manifest = await read("manifests/latest");
  const { config, layers } = JSON.parse(manifest.toString()) as Manifest;
  const blobs = [config, ...layers].map(async ({ digest }) => digestOf(await read(`blobs/${digest}`)));
  return [digestOf(manifest), ...(await Promise.all(blobs))];
}

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

const manifestTypes = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");
