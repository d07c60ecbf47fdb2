/** Writing: uploads, manifests, deletion (OCI distribution-spec § Push, § Content Management). */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { digestLike, type ImageStore, type Repository } from "#cli/demo/image-store.ts";
import { RegistryError } from "#oci/errors.ts";
import { readBody, reply } from "./send.ts";

const maxManifestBytes = 4 << 20;

/** Uploads that have begun, by their id. */
export class Uploads {
  readonly #store: ImageStore;
  readonly #running = new Map<string, { repository: string; pieces: Buffer[] }>();

  constructor(store: ImageStore) {
    this.#store = store;
  }

  /** POST `uploads/`: begin, or mount, or everything in one request. */
  async begin(req: IncomingMessage, res: ServerResponse, name: string, query: URLSearchParams): Promise<void> {
    const [mount, from, digest] = ["mount", "from", "digest"].map((key) => query.get(key) ?? undefined);
    const mounted = from && mount ? this.#store.repositories.get(from)?.blobs.get(mount) : undefined;
    if (mounted && mount) return this.#finish(req, res, name, mount, mounted);
    const body = await readBody(req);
    if (digest !== undefined) return this.#finish(req, res, name, digest, body);
    const id = randomUUID();
    this.#running.set(id, { repository: name, pieces: [] });
    this.#progress(req, res, 202, name, id);
  }

  /** GET, PATCH, PUT and DELETE of `uploads/<id>`. */
  async go(req: IncomingMessage, res: ServerResponse, name: string, id: string, query: URLSearchParams): Promise<void> {
    const upload = this.#running.get(id);
    if (upload?.repository !== name) throw new RegistryError("BLOB_UPLOAD_UNKNOWN", "upload unknown", { detail: id });
    if (req.method === "GET") return this.#progress(req, res, 204, name, id);
    if (req.method === "PATCH" || req.method === "PUT") {
      const body = await readBody(req);
      requireContiguous(req.headers["content-range"], sizeOf(upload.pieces));
      upload.pieces.push(body);
      if (req.method === "PATCH") return this.#progress(req, res, 202, name, id);
      this.#finish(req, res, name, query.get("digest") ?? "", Buffer.concat(upload.pieces));
    } else if (req.method === "DELETE") reply(res, 204);
    else throw new RegistryError("UNSUPPORTED", `${req.method} of an upload`);
    this.#running.delete(id);
  }

  #progress(req: IncomingMessage, res: ServerResponse, status: number, name: string, id: string): void {
    const size = sizeOf(this.#running.get(id)?.pieces ?? []);
    // Absolute and with a query, as docker-registry has it: whoever rewrites Locations must keep both right.
    const location = `http://${req.headers.host}/v2/${name}/blobs/uploads/${id}?_state=${size}`;
    reply(res, status, { location, range: `0-${Math.max(0, size - 1)}`, "docker-upload-uuid": id });
  }

  #finish(req: IncomingMessage, res: ServerResponse, name: string, digest: string, bytes: Buffer): void {
    if (digestLike(digest, bytes) !== digest) throw new RegistryError("DIGEST_INVALID", "digest does not match");
    this.#store.open(name).blobs.set(digest, bytes);
    const location = `http://${req.headers.host}/v2/${name}/blobs/${digest}`;
    reply(res, 201, { location, "docker-content-digest": digest });
  }
}

/** PUT of a manifest, by tag or digest; what it refers to must be there. */
export async function putManifest(
  req: IncomingMessage,
  res: ServerResponse,
  store: ImageStore,
  name: string,
  reference: string,
): Promise<void> {
  const bytes = await readBody(req);
  if (bytes.length > maxManifestBytes) throw new RegistryError("SIZE_INVALID", "manifest too large", { status: 413 });
  const { mediaType, subject } = checkManifest(bytes, store.open(name));
  const digest = digestLike(reference.includes(":") ? reference : "sha256:", bytes) ?? "";
  if (reference.includes(":") && digest !== reference) throw new RegistryError("DIGEST_INVALID", "not its digest");
  const type = req.headers["content-type"] ?? mediaType ?? "application/vnd.oci.image.manifest.v1+json";
  store.open(name).manifests.set(digest, { mediaType: type, bytes });
  if (!reference.includes(":")) store.open(name).tags.set(reference, digest);
  const headers = { location: `/v2/${name}/manifests/${digest}`, "docker-content-digest": digest };
  reply(res, 201, subject ? { ...headers, "oci-subject": subject.digest } : headers);
}

/** DELETE of a tag, or of a manifest and all its tags. */
export function deleteManifest(res: ServerResponse, repository: Repository, reference: string): void {
  const known = repository.tags.delete(reference) || repository.manifests.delete(reference);
  if (!known) throw new RegistryError("MANIFEST_UNKNOWN", "manifest unknown", { detail: reference });
  for (const [tag, digest] of repository.tags) if (digest === reference) repository.tags.delete(tag);
  reply(res, 202);
}

interface ManifestJson {
  mediaType?: string;
  config?: { digest: string };
  layers?: { digest: string; urls?: string[] }[];
  subject?: { digest: string };
}

function checkManifest(bytes: Buffer, { blobs }: Repository): ManifestJson {
  let manifest: ManifestJson;
  try {
    manifest = JSON.parse(bytes.toString()) as ManifestJson;
  } catch (cause: unknown) {
    throw new RegistryError("MANIFEST_INVALID", "manifest is not JSON", { cause });
  }
  const needed = [manifest.config, ...(manifest.layers ?? []).filter((layer) => layer.urls === undefined)];
  const missing = needed.find((descriptor) => descriptor && !blobs.has(descriptor.digest));
  if (missing) throw new RegistryError("MANIFEST_BLOB_UNKNOWN", "blob unknown", { detail: missing.digest });
  return manifest;
}

function requireContiguous(contentRange: string | undefined, sizeBytes: number): void {
  if (contentRange === undefined || contentRange.replace(/^bytes /, "").startsWith(`${sizeBytes}-`)) return;
  throw new RegistryError("BLOB_UPLOAD_INVALID", `chunk ${contentRange} does not follow byte ${sizeBytes}`, {
    status: 416,
  });
}

function sizeOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((total, piece) => total + piece.length, 0);
}
