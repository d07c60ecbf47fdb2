/**
 * The registry host's program while it runs: publishes the blobs of one registry under one prefix, on uplinks to
 * forwarders and on faces of its own, and serves `/healthz`, `/readyz` and `/metrics`.
 */
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { Checkup } from "#base/checkup.ts";
import { ControlPlane } from "#ndn/control-plane.ts";
import { type AcceptedFaces, acceptFaces } from "#ndn/face/accept-faces.ts";
import type { PacketHandler } from "#ndn/face/face.ts";
import type { FaceUrl } from "#ndn/face/face-url.ts";
import { logUplink, SocketUplink } from "#ndn/face/uplink.ts";
import { formatName, type Name } from "#ndn/packet/name.ts";
import type { SegmentProducer } from "#ndn/producer.ts";
import { PrefixRegistration } from "#ndn/registration.ts";
import type { Identity, Signer } from "#ndn/trust/keychain.ts";
import { expiryWarning } from "#ndn/trust/validity.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import type { RegistryTrouble } from "#oci/registry-trouble.ts";
import type { Publication } from "#publish/publication.ts";

const dayMs = 86_400_000;

/** Where to listen for HTTP. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** The parts of a server. */
export interface ServerParts {
  readonly prefix: Name;
  readonly identity: Identity;
  /** Reads the identity again, as it is now. @throws Error that says why it cannot be used */
  readonly readIdentity: () => Promise<Identity>;
  /** What the publication reads from; closed with the server, as the publication is. */
  readonly registry: RegistryClient;
  readonly publication: Publication;
  /** Bytes of a datagram at most; undefined for what the machine's interfaces carry. */
  readonly mtu?: number | undefined;
  readonly log: Logger;
}

/** A running server. */
export class BlobServer {
  readonly #parts: ServerParts;
  #identity: Identity;
  /** On all faces; there may be more after a reload. */
  readonly #handlers: PacketHandler[];
  readonly #uplinks: SocketUplink[] = [];
  readonly #controls = new Map<SocketUplink, ControlPlane>();
  readonly #registrations: PrefixRegistration[] = [];
  readonly #listeners: AcceptedFaces[] = [];
  readonly #expiryTimer: NodeJS.Timeout;
  readonly #registryTrouble: Checkup<RegistryTrouble | undefined>;
  #registryWasTold: string | undefined;
  #statusPage: { close(): Promise<void> } | undefined;

  constructor(parts: ServerParts) {
    this.#identity = parts.identity;
    this.#parts = parts;
    this.#handlers = producersOf(parts.publication);
    this.#registryTrouble = new Checkup<RegistryTrouble | undefined>({
      look: (signal) => parts.registry.trouble(signal),
      isWell: (trouble) => trouble === undefined,
      onLook: (trouble) => this.#tellRegistry(trouble?.reason),
    });
    this.#expiryTimer = setInterval(() => this.warnOfExpiry(), dayMs).unref();
  }

  /** The key that signs, and its certificate. */
  get identity(): Identity {
    return this.#identity;
  }

  /** Answers under the prefix, on any face. */
  get producer(): SegmentProducer {
    return this.#parts.publication.producer;
  }

  /** Take Interests on a face of its own. @throws Error when the address is taken. */
  async listen(url: FaceUrl): Promise<void> {
    this.#listeners.push(await acceptFaces(url, this.#handlers, { mtu: this.#parts.mtu }));
  }

  /** Take Interests from a forwarder, and register the prefix there whenever it is up. */
  connect(url: FaceUrl): void {
    const { log, mtu, prefix, publication } = this.#parts;
    const uplink = new SocketUplink(url, mtu);
    for (const handler of this.#handlers) uplink.addHandler(handler);
    this.#controls.set(uplink, new ControlPlane(uplink));
    logUplink(uplink, log);
    for (const name of [prefix, publication.ownName, ...publication.others.map((other) => other.prefix)])
      this.#register(name, uplink);
    this.#uplinks.push(uplink);
    uplink.open();
  }

  #register(name: Name, uplink: SocketUplink): void {
    const { log } = this.#parts;
    const fields = { uplink: uplink.describe, prefix: formatName(name) };
    this.#registrations.push(
      new PrefixRegistration(uplink, this.#controls.get(uplink)!, name, this.#signer, {
        onRegistered: () => log.info(fields, "prefix is registered"),
        onRefused: (_, reason, advice) =>
          log.warn({ ...fields, reason: reason.message, advice }, "prefix registration was refused"),
      }),
    );
  }

  /** Signs as the server does at the time. */
  readonly #signer: Signer = { sign: (packet) => this.#identity.signer.sign(packet) };

  /** Read the key and its certificates again, and sign with them. Never rejects: what cannot be used is a line in the log. */
  async reload(): Promise<void> {
    const { log, publication, readIdentity } = this.#parts;
    const before = publication.others;
    try {
      this.#identity = await readIdentity();
    } catch (err: unknown) {
      const reason = (err as Error).message;
      return log.error({ reason }, "the key cannot be used; the old one stays in use");
    }
    publication.signAs(this.#identity);
    for (const { prefix, producer } of publication.others.slice(before.length)) {
      this.#handlers.push(producer);
      for (const uplink of this.#uplinks) {
        uplink.addHandler(producer);
        this.#register(prefix, uplink);
      }
    }
    const { certificateName: certificate, digest } = this.#identity;
    log.info({ certificate, digest }, "reloaded: lists and metadata are signed with this certificate");
    this.warnOfExpiry();
  }

  /** Serve `/healthz`, `/readyz` and `/metrics`. @throws Error when the address cannot be listened on. */
  async openStatusPage(listen: ListenAddress, metrics: Registry): Promise<void> {
    const { default: fastify } = await import("fastify"); // the HTTP server is large, and mostly not needed
    const app = fastify({ logger: false, forceCloseConnections: true });
    app.get("/healthz", async () => ({ status: "live" }));
    app.get("/readyz", async (_request, reply) => {
      const trouble = await this.#registryTrouble.ask();
      const ready = this.isReachable();
      const missing = [...this.missing(), ...(trouble ? [`${this.#registryName} ${trouble.reason}`] : [])];
      return reply.code(ready ? 200 : 503).send({ ready, missing });
    });
    app.get("/metrics", async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
    await app.listen({ ...listen, listenTextResolver: () => "" });
    this.#statusPage = app;
  }

  /** Find out whether the registry answers, and log it when it does not. */
  lookAtRegistry(): void {
    void this.#registryTrouble.look();
  }

  get #registryName(): string {
    const { origin, pathname } = this.#parts.registry.base;
    return `registry ${origin}${pathname}`;
  }

  /** One line whenever it is something else than before. */
  #tellRegistry(reason: string | undefined): void {
    if (reason === this.#registryWasTold) return;
    this.#registryWasTold = reason;
    const { log } = this.#parts;
    if (reason === undefined) log.info(`${this.#registryName} answers again`);
    else log.warn({ reason }, `${this.#registryName} is of no use: its blobs cannot be published`);
  }

  /** What does not work of what leads here; empty when everything does. */
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

  /** Log a warning when the certificate has expired or soon will; done each day. */
  warnOfExpiry(): void {
    const warning = expiryWarning(this.#identity, Date.now());
    if (warning !== undefined) this.#parts.log.warn({ certificate: this.#identity.certificateName }, warning);
  }

  /** Withdraw the prefix, then close all faces, write the state, and close the rest. */
  async close(): Promise<void> {
    clearInterval(this.#expiryTimer);
    this.#registryTrouble.close();
    await Promise.all(this.#registrations.map((registration) => registration.close()));
    for (const uplink of this.#uplinks) uplink.close();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await this.#parts.publication.close();
    await this.#statusPage?.close();
    await this.#parts.registry.close();
  }
}

function producersOf({ producer, others }: Publication): SegmentProducer[] {
  return [producer, ...others.map((other) => other.producer)];
}
