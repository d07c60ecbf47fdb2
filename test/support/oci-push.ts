/**
 * The writing half of the OCI distribution-spec (§ Push), as short as tests need it.
 */
import { digestOf } from "./random-bytes.ts";

/** A descriptor (OCI image-spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Upload one blob in one piece; `registry` is the base URL. */
export async function pushBlob(registry: string, repository: string, bytes: Uint8Array): Promise<Descriptor> {
  const begun = await fetch(`${registry}/v2/${repository}/blobs/uploads/`, { method: "POST" });
  const location = new URL(expectStatus(begun, 202).headers.get("Location")!, registry);
  const digest = digestOf(bytes);
  location.searchParams.set("digest", digest);
  const headers = { "Content-Type": "application/octet-stream" };
  expectStatus(await fetch(location, { method: "PUT", headers, body: bytes as Uint8Array<ArrayBuffer> }), 201);
  return { mediaType: "application/octet-stream", digest, size: bytes.length };
}

/** Upload a manifest or an index, tagged when `reference` is a tag. */
export async function pushManifest(
  registry: string,
  repository: string,
  reference: string,
  manifest: { readonly mediaType: string },
): Promise<Descriptor> {
  const body = Buffer.from(JSON.stringify(manifest));
  const response = await fetch(`${registry}/v2/${repository}/manifests/${reference}`, {
    method: "PUT",
    headers: { "Content-Type": manifest.mediaType },
    body,
  });
  expectStatus(response, 201);
  return { mediaType: manifest.mediaType, digest: digestOf(body), size: body.length };
}

/** Digest and text of a manifest as a registry has it. */
export async function readManifest(registry: string, repository: string, reference: string, mediaType: string) {
  const headers = { Accept: mediaType };
  const response = await fetch(`${registry}/v2/${repository}/manifests/${reference}`, { headers });
  const text = await expectStatus(response, 200).text();
  return { text, digest: digestOf(Buffer.from(text)) };
}

function expectStatus(response: Response, status: number): Response {
  if (response.status !== status) throw new Error(`${response.url} answered ${response.status} instead of ${status}`);
  return response;
}
