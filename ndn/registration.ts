/**
 * Prefix registration: tells the forwarder that Interests under a prefix come to us (NFD management, RibMgmt).
 * Repeated on every reconnect and every five minutes, withdrawn on stop; a refusal is reported, never fatal.
 */

import type { Forwarder } from "@ndn/fw";
import { Name as NdnName, type Signer } from "@ndn/packet";
import { raceAbort } from "#base/waiting.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { Uplink } from "./face/uplink.ts";
import { formatName, type Name } from "./packet/name.ts";

/** RouteOrigin "client": what NLSR and ndnd announce to their neighbours. */
const originClient = 65;
const refreshMs = 5 * 60_000;
/** The route outlives a few missed refreshes, but not us. */
const expirationMs = 4 * refreshMs;
const firstRetryMs = 1_000;
const lastRetryMs = 60_000;
const registerTimeoutMs = 4_000;
const withdrawTimeoutMs = 1_000;

/** What became of a registration. */
export interface RegistrationEvents {
  onRegistered(uplink: string): void;
  /** `advice` is the command that an operator would type. */
  onRefused(uplink: string, reason: Error, advice: string): void;
}

/** Keeps one prefix registered on one uplink. */
export class PrefixRegistration {
  /** Whether the forwarder has confirmed it on the face that is up now. */
  registered = false;
  readonly uplink: Uplink;
  readonly #prefix: Name;
  readonly #signer: Signer;
  readonly #events: RegistrationEvents;
  readonly #control: ControlPlane;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = firstRetryMs;

  /** @param control - Control plane of the same uplink, made before this. */
  constructor(uplink: Uplink, control: ControlPlane, prefix: Name, signer: Signer, events: RegistrationEvents) {
    this.uplink = uplink;
    this.#control = control;
    this.#prefix = prefix;
    this.#signer = signer;
    this.#events = events;
    uplink.addListener({ onUp: () => this.#faceUp(), onDown: () => this.#faceDown() });
  }

  /** Withdraw the route and stop; waits at most a second. Call before the uplink is closed. */
  async close(): Promise<void> {
    const { fw } = this.#control;
    const { registered } = this;
    this.#faceDown();
    if (fw && registered) await this.#command(fw, "rib/unregister", withdrawTimeoutMs).catch(() => undefined);
  }

  #faceUp(): void {
    this.#retryMs = firstRetryMs;
    void this.#register();
  }

  #faceDown(): void {
    clearTimeout(this.#timer);
    this.registered = false;
  }

  async #register(): Promise<void> {
    const { fw } = this.#control;
    if (fw === undefined) return;
    let nextMs = refreshMs;
    try {
      await this.#command(fw, "rib/register", registerTimeoutMs);
      if (this.#control.fw !== fw) return;
      if (!this.registered) this.#events.onRegistered(this.uplink.describe);
      this.registered = true;
      this.#retryMs = firstRetryMs;
    } catch (err: unknown) {
      if (this.#control.fw !== fw) return;
      this.registered = false;
      this.#events.onRefused(this.uplink.describe, err as Error, this.#advice());
      nextMs = this.#retryMs;
      this.#retryMs = Math.min(lastRetryMs, this.#retryMs * 2);
    }
    this.#timer = setTimeout(() => void this.#register(), nextMs);
  }

  async #command(fw: Forwarder, verb: "rib/register" | "rib/unregister", timeoutMs: number) {
    const { invoke, localhopPrefix, localhostPrefix } = await import("@ndn/nfdmgmt"); // 37 MB, for servers on a forwarder
    const name = new NdnName(this.#prefix);
    const route = { name, origin: originClient };
    const signal = AbortSignal.timeout(timeoutMs);
    const parameters =
      verb === "rib/register" ? { ...route, cost: 0, flagCapture: true, expirationPeriod: expirationMs } : route;
    const prefix = this.uplink.isLocal ? localhostPrefix : localhopPrefix;
    // The Interest outlives the signal, so that a silent forwarder always ends in the same words.
    const cOpts = { fw, signal, modifyInterest: { lifetime: 2 * timeoutMs } };
    const response = await raceAbort(invoke(verb, parameters, { signer: this.#signer, prefix, cOpts }), signal).catch(
      (err: unknown) => {
        throw signal.aborted ? new Error(`no answer within ${timeoutMs / 1000} s`) : err;
      },
    );
    if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${response.statusText}`);
  }

  #advice(): string {
    const prefix = formatName(this.#prefix);
    const here = this.uplink.isLocal ? "<face of this program, see `nfdc face list`>" : "tcp4://<address of this host>";
    return `nfdc route add prefix ${prefix} nexthop ${here}  (ndnd: ndnd fw route-add prefix=${prefix} face=<id>)`;
  }
}
