/**
 * The composition root of the server: from parsed options to a server that answers Interests.
 */
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { checkPrefixLength, type SegmentSize } from "#blob/names.ts";
import type { FaceUrl } from "#ndn/face/face-url.ts";
import type { Name } from "#ndn/packet/name.ts";
import { exportAnchor, type Identity, inspectKeychain, openIdentity } from "#ndn/trust/keychain.ts";
import { RegistryClient, type RegistryClientOptions } from "#oci/registry-client.ts";
import { ImageRegistry } from "#publish/pointers/image-registry.ts";
import { DiskTags } from "#publish/pointers/stored-tags.ts";
import { createPublication, type PublicationOptions } from "#publish/publication.ts";
import { RegistryRangeReader } from "#publish/registry-range-reader.ts";
import { checkStorage, StorageRangeReader } from "#publish/storage-range-reader.ts";
import { PublicCheck } from "./public-check.ts";
import { type PublishOptions, PublishPolicy } from "./publish-policy.ts";
import { BlobServer, type ListenAddress } from "./server.ts";

/** What a server is created from; everything is already parsed. */
export interface ServerOptions extends PublishOptions {
  /** Names of all that is published begin with it. */
  readonly prefix: Name;
  /** Where the blobs come from, how that is reached, and the login there. */
  readonly registry: Pick<RegistryClientOptions, "base" | "credentials" | "network">;
  /** Root of the registry's filesystem storage, to read blobs from disk instead of over HTTP. */
  readonly storage: string | undefined;
  /** Directory of the key that signs (a new key is made when it has none for the prefix), or the identity itself. */
  readonly keychain: string | Identity;
  /** File to write the certificate to, for those who are to trust this server. */
  readonly exportAnchor: string | undefined;
  /** Whether the names of the published repositories are published as well. */
  readonly publishCatalog: boolean;
  readonly uplinks: readonly FaceUrl[];
  readonly faces: readonly FaceUrl[];
  /** Bytes of a datagram at most, over UDP; undefined for what the machine's interfaces carry. */
  readonly mtu?: number | undefined;
  readonly segmentBytes: SegmentSize;
  /** For blobs on their way, in bytes; at least 16 MiB. */
  readonly memoryBytes: number;
  readonly stateDirectory: string | undefined;
  /** Where `/healthz`, `/readyz` and `/metrics` are served; undefined for nowhere. */
  readonly status: ListenAddress | undefined;
  readonly log: Logger;
  readonly metrics: Registry;
}

/** The option that keeps a server from starting; `cause` says why. */
export class ServerStartError extends Error {
  override readonly name = "ServerStartError";
  readonly option: "name" | "storage" | "export-anchor" | "face" | "status";

  constructor(option: ServerStartError["option"], cause: Error) {
    super(`${option}: ${cause.message}`, { cause });
    this.option = option;
  }
}

/**
 * Check the options, open the identity and start. Uplinks that are down are tried again without end; an address that
 * cannot be listened on is an error.
 *
 * @throws ServerStartError, KeychainError
 */
export async function createServer(options: ServerOptions): Promise<BlobServer> {
  const { prefix, storage, keychain, log, metrics, status } = options;
  await naming("name", () => checkPrefixLength(prefix));
  if (storage !== undefined) await naming("storage", () => warnIfEmpty(storage, log));
  const identity = typeof keychain === "string" ? await openIdentity(keychain, prefix) : keychain;
  await naming("export-anchor", () => writeAnchor(identity, options));
  const registry = new RegistryClient(options.registry);
  const proxy = options.registry.network?.proxyFor(registry.base)?.host;
  if (proxy !== undefined) log.info({ proxy }, "the registry is reached through a proxy");
  const publication = createPublication({ ...options, identity, ...readingOf(registry, options) });
  const server = new BlobServer({
    prefix,
    identity,
    readIdentity: () => readIdentity(options),
    registry,
    publication,
    mtu: options.mtu,
    log,
  });
  try {
    for (const url of options.faces) await naming("face", () => server.listen(url));
    const { certificateName, digest } = identity;
    log.info({ certificate: certificateName, digest }, "lists and metadata are signed with this certificate");
    server.warnOfExpiry();
    for (const url of options.uplinks) server.connect(url);
    if (status) await naming("status", () => server.openStatusPage(status, metrics));
  } catch (err: unknown) {
    await server.close();
    throw err;
  }
  return server;
}

/** The identity as it is now, with its anchor written; unlike at the start no key is made. @throws Error */
async function readIdentity(options: ServerOptions): Promise<Identity> {
  const { keychain, prefix } = options;
  if (typeof keychain !== "string") return keychain;
  await inspectKeychain(keychain);
  const identity = await openIdentity(keychain, prefix);
  writeAnchor(identity, options);
  return identity;
}

function writeAnchor(identity: Identity, { exportAnchor: file, log }: ServerOptions): void {
  if (file === undefined) return;
  exportAnchor(identity, file);
  log.info({ file, certificate: identity.certificateName, digest: identity.digest }, "anchor is written");
}

/** What may be published, and where it is read: from the disk behind the registry's own word, or from the registry. */
function readingOf(
  registry: RegistryClient,
  options: ServerOptions,
): Pick<PublicationOptions, "policy" | "reader" | "search" | "images" | "storedTags"> {
  const policy = new PublishPolicy(options);
  const images = new ImageRegistry(registry, policy);
  if (options.storage === undefined)
    return { policy, images, storedTags: undefined, reader: new RegistryRangeReader(registry, policy) };
  const disk = new StorageRangeReader(options.storage);
  return {
    policy,
    images,
    storedTags: new DiskTags(options.storage),
    reader: new PublicCheck(disk, registry, policy),
    search: (digest) => disk.repositoriesWith(digest),
  };
}

async function naming<T>(option: ServerStartError["option"], work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err: unknown) {
    throw new ServerStartError(option, err as Error);
  }
}

async function warnIfEmpty(storage: string, log: Logger): Promise<void> {
  const hasRepositories = await checkStorage(storage);
  if (!hasRepositories) log.warn({ storage }, "no repositories there: a new registry, or is it not mounted?");
}
