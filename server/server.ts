/**
 * The registry host's program: publishes the blobs of one registry under one prefix, on uplinks to forwarders and on
 * faces of its own.
 */
import { ControlPlane } from "#ndn/control-plane.ts";
import type { PacketHandler } from "#ndn/face/face.ts";
import { FaceListener } from "#ndn/face/face-listener.ts";
import type { FaceUrl } from "#ndn/face/face-url.ts";
import { logUplink, SocketUplink } from "#ndn/face/uplink.ts";
import { formatName } from "#ndn/packet/name.ts";
import type { SegmentProducer } from "#ndn/producer.ts";
import { PrefixRegistration } from "#ndn/registration.ts";
import type { Identity } from "#ndn/trust/keychain.ts";
import { expiryWarning } from "#ndn/trust/validity.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import { createPublication, type Publication, type PublicationOptions } from "#publish/publication.ts";
import { RegistryRangeReader } from "#publish/registry-range-reader.ts";
import { StorageRangeReader } from "#publish/storage-range-reader.ts";
import { PublicCheck } from "./public-check.ts";
import { type PublishOptions, PublishPolicy } from "./publish-policy.ts";

const dayMs = 86_400_000;

/** What a server needs; everything is already parsed and validated. */
export interface BlobServerOptions extends Omit<PublicationOptions, "policy" | "reader" | "search">, PublishOptions {
  readonly registry: RegistryClient;
  /** Root of the registry's filesystem storage, to read blobs from disk instead of over HTTP. */
  readonly storage: string | undefined;
  readonly uplinks: readonly FaceUrl[];
  readonly faces: readonly FaceUrl[];
}

/** A running server. */
export class BlobServer {
  readonly #options: BlobServerOptions;
  readonly #publication: Publication;
  readonly #uplinks: SocketUplink[] = [];
  readonly #registrations: PrefixRegistration[] = [];
  readonly #listeners: FaceListener[] = [];
  readonly #expiryTimer: NodeJS.Timeout;

  private constructor(options: BlobServerOptions) {
    this.#options = options;
    this.#publication = createPublication({ ...options, ...readingOf(options) });
    this.#expiryTimer = setInterval(() => this.#warnOfExpiry(), dayMs).unref();
  }

  /**
   * Start. Uplinks that are down are tried again without end; only a listener that cannot be opened is an error.
   * @throws Error when the address of a `--face` is taken.
   */
  static async start(options: BlobServerOptions): Promise<BlobServer> {
    const server = new BlobServer(options);
    try {
      for (const url of options.faces) server.#listeners.push(await FaceListener.listen(url, server.#handler()));
    } catch (err: unknown) {
      await server.close();
      throw err;
    }
    const { certificateName, digest } = options.identity;
    options.log.info({ certificate: certificateName, digest }, "lists and metadata are signed with this certificate");
    server.#warnOfExpiry();
    for (const url of options.uplinks) server.#connect(url);
    return server;
  }

  /** The key that signs, and its certificate. */
  get identity(): Identity {
    return this.#options.identity;
  }

  /** Answers under the prefix, on any face. */
  get producer(): SegmentProducer {
    return this.#publication.producer;
  }

  /** What does not work at the moment; empty when everything does. */
  missing(): string[] {
    const down = this.#uplinks
      .filter((uplink) => uplink.face === undefined)
      .map((uplink) => `uplink ${uplink.describe} is down`);
    const refused = this.#registrations
      .filter((r) => !r.registered)
      .map((r) => `prefix is not registered on ${r.uplink.describe}`);
    return [...down, ...new Set(refused)];
  }

  /** Whether anyone can reach this server now. */
  isReachable(): boolean {
    return this.#listeners.length > 0 || this.#uplinks.some((uplink) => uplink.face !== undefined);
  }

  /** Withdraw the prefix, then close all faces and write the state. */
  async close(): Promise<void> {
    clearInterval(this.#expiryTimer);
    await Promise.all(this.#registrations.map((registration) => registration.close()));
    for (const uplink of this.#uplinks) uplink.close();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await this.#publication.close();
  }

  #handler(): PacketHandler {
    const { producer, others } = this.#publication;
    if (others.length === 0) return producer;
    return {
      accept: (view, face) => producer.accept(view, face) || others.some((other) => other.producer.accept(view, face)),
    };
  }

  #connect(url: FaceUrl): void {
    const { log, prefix, identity } = this.#options;
    const uplink = new SocketUplink(url);
    uplink.addHandler(this.#handler());
    const control = new ControlPlane(uplink);
    logUplink(uplink, log);
    for (const name of [prefix, ...this.#publication.others.map((other) => other.prefix)]) {
      const fields = { uplink: url.text, prefix: formatName(name) };
      this.#registrations.push(
        new PrefixRegistration(uplink, control, name, identity.signer, {
          onRegistered: () => log.info(fields, "prefix is registered"),
          onRefused: (_, reason, advice) =>
            log.warn({ ...fields, reason: reason.message, advice }, "prefix registration was refused"),
        }),
      );
    }
    this.#uplinks.push(uplink);
    uplink.open();
  }

  #warnOfExpiry(): void {
    const { identity, log } = this.#options;
    const warning = expiryWarning(identity, Date.now());
    if (warning !== undefined) log.warn({ certificate: identity.certificateName }, warning);
  }
}

/** What may be published, and where it is read: from the disk behind the registry's own word, or from the registry. */
function readingOf(options: BlobServerOptions): Pick<PublicationOptions, "policy" | "reader" | "search"> {
  const { registry, storage } = options;
  const policy = new PublishPolicy(options);
  if (storage === undefined) {
    return { policy, reader: new RegistryRangeReader(registry, policy) };
  }
  const disk = new StorageRangeReader(storage);
  return {
    policy,
    reader: new PublicCheck(disk, registry, policy),
    search: (digest) => disk.repositoriesWith(digest),
  };
}
