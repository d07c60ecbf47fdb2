/**
 * What things are called: content addresses, for every blob and manifest is named by the hash of its bytes, and names in
 * the registry's URLs, which repository, blob or manifest a path means, and which registry `ns` means.
 */

/** A content address such as `sha256:9f86…`, syntax already checked (OCI image-spec, descriptor.md § Digests). */
export type Digest = string & { readonly __brand: "Digest" };

/** The sha256 digest in a URL, header or manifest; undefined for anything else, which is the registry's to answer. */
export function parseSha256(text: string): Digest | undefined {
  return /^sha256:[a-f0-9]{64}$/.test(text) ? (text as Digest) : undefined;
}

/** The digest whose hash value is these 32 bytes. */
export function digestOfHash(hash: Uint8Array): Digest {
  return `sha256:${Buffer.from(hash).toString("hex")}` as Digest;
}

/** The digest of nothing: the only one of a blob without bytes. */
export const emptyDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" as Digest;

/** The 64 hexadecimal characters after the algorithm. */
export function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}

/** The 32 bytes of the hash value. */
export function hashOf(digest: Digest): Buffer {
  return Buffer.from(digest.slice("sha256:".length), "hex");
}

const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const repositoryGrammar = new RegExp(`^${component}(?:/${component})*$`);
const digestGrammar = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;

const maxRepositoryLength = 255;
const maxDigestLength = 1024;

/** Whether `name` is a repository name: the grammar of `<name>`, at most 255 characters (OCI distribution-spec § Pulling manifests). */
export function isRepository(name: string): boolean {
  return name.length <= maxRepositoryLength && repositoryGrammar.test(name);
}

/**
 * The blob that `/v2/<name>/blobs/<digest>` means; undefined for every other path.
 * The digest is text of any algorithm (OCI image-spec, descriptor.md § Digests).
 *
 * @param rawPath - As it came over the wire, without query. Percent escapes, dot segments and empty segments never match.
 */
export function parseBlobPath(rawPath: string): { repository: string; digest: string } | undefined {
  const end = rawPath.lastIndexOf("/blobs/");
  if (!rawPath.startsWith("/v2/") || end < "/v2/".length) return undefined;
  const repository = rawPath.slice("/v2/".length, end);
  const digest = rawPath.slice(end + "/blobs/".length);
  if (!isDigestText(digest)) return undefined;
  return isRepository(repository) ? { repository, digest } : undefined;
}

const tagGrammar = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** Whether `text` is a tag (OCI distribution-spec § Pulling manifests); no digest is one. */
export function isTag(text: string): boolean {
  return tagGrammar.test(text);
}

/**
 * The manifest that `/v2/<name>/manifests/<reference>` means, the reference being a tag or a digest of any algorithm;
 * undefined for every other path.
 *
 * @param rawPath - As for `parseBlobPath`.
 */
export function parseManifestPath(rawPath: string): { repository: string; reference: string } | undefined {
  const end = rawPath.lastIndexOf("/manifests/");
  if (!rawPath.startsWith("/v2/") || end < "/v2/".length) return undefined;
  const repository = rawPath.slice("/v2/".length, end);
  const reference = rawPath.slice(end + "/manifests/".length);
  if (!isTag(reference) && !isDigestText(reference)) return undefined;
  return isRepository(repository) ? { repository, reference } : undefined;
}

/** The repository that `/v2/<name>/blobs/uploads/…` pushes a blob to; undefined for every other path. */
export function parseUploadPath(rawPath: string): string | undefined {
  const [, repository] = /^\/v2\/(.+?)\/blobs\/uploads(?:\/|$)/.exec(rawPath) ?? [];
  return repository !== undefined && isRepository(repository) ? repository : undefined;
}

function isDigestText(text: string): boolean {
  return text.length <= maxDigestLength && digestGrammar.test(text);
}

const dockerHub = new Set(["docker.io", "index.docker.io", "registry-1.docker.io"]);

/** One spelling per registry, for comparing an `ns` parameter: lower case, without ports 80 and 443, Docker Hub always `docker.io`. */
export function canonicalRegistry(host: string): string {
  const bare = host.toLowerCase().replace(/:(?:80|443)$/, "");
  return dockerHub.has(bare) ? "docker.io" : bare;
}

/** Whether a registry's base has the `/v2/` in it that is added to each request, as when it was copied from one. */
export function namesApi({ pathname }: URL): boolean {
  return /\/v2\/*$/.test(pathname);
}
