/**
 * Whether each registry can be reached, over HTTP and over NDN, and if not why: for `/readyz`, the page, and one warning
 * in the log whenever that changes.
 */
import type { Logger } from "pino";
import { Checkup } from "#base/checkup.ts";
import { type Name, readableName } from "#ndn/packet/name.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import type { NdnReach } from "#uplinks/path-trouble.ts";
import type { NdnBlobs } from "#uplinks/uplink-blobs.ts";
import { anchorReason } from "./reasons.ts";

/** A registry to be looked at. */
export interface WatchedRegistry {
  readonly name: string;
  /** Undefined for NDN only. */
  readonly registry: Pick<RegistryClient, "base" | "trouble"> | undefined;
  /** Undefined for HTTPS only. */
  readonly ndn: NdnBlobs | undefined;
  readonly prefix: Name | undefined;
}

/** How a registry is. */
export interface RegistryHealth {
  readonly name: string;
  /** `doubtful`: it answers, but not as registries do; `off`: NDN only; `unknown`: it was not looked at. */
  readonly upstream: "answers" | "doubtful" | "down" | "off" | "unknown";
  /** Why the upstream is of no use, such as "cannot be reached: …"; null when it answers. */
  readonly upstreamTrouble: string | null;
  /** `off`: HTTPS only; `unknown`: it was not looked at, or says too little. */
  readonly ndn: "off" | "answers" | "untrusted" | "silent" | "down" | "unknown";
  /** Why blobs do not come over NDN; null when they can. */
  readonly ndnTrouble: string | null;
  /** Its NDN name; null for HTTPS only. */
  readonly prefix: string | null;
}

/** Whether anything can be served, and what is missing. */
export interface Readiness {
  readonly ready: boolean;
  /** One sentence each. */
  readonly missing: readonly string[];
}

/** Looks at all registries, at most every few seconds. */
export class Health {
  readonly #registries: () => readonly WatchedRegistry[];
  readonly #otherTrouble: () => readonly string[];
  readonly #log: Pick<Logger, "info" | "warn">;
  readonly #checkup: Checkup<readonly RegistryHealth[]>;
  #told: readonly string[] = [];
  #startTimer: NodeJS.Timeout | undefined;

  /** @param otherTrouble - What else does not work, such as uplinks that are down; one sentence each. */
  constructor(
    registries: () => readonly WatchedRegistry[],
    otherTrouble: () => readonly string[],
    log: Pick<Logger, "info" | "warn">,
  ) {
    this.#registries = registries;
    this.#otherTrouble = otherTrouble;
    this.#log = log;
    this.#checkup = new Checkup<readonly RegistryHealth[]>({
      look: (signal) => Promise.all(registries().map((one) => healthOf(one, signal))),
      isWell: (found) => this.#missing(found).length === 0,
      onLook: () => this.#tell(),
    });
  }

  /** Look when uplinks have had time to connect. */
  start(): void {
    this.#startTimer = setTimeout(() => this.look(), startMs).unref();
  }

  /** Look again, in the background: something did not work, or someone wants to know. */
  look(): void {
    void this.#checkup.look();
  }

  /** They are other registries now. */
  changed(): void {
    this.#checkup.forget();
    this.look();
  }

  /** Looks first, unless that was done just now. Ready while anything can be served, over HTTP or NDN. */
  async readiness(): Promise<Readiness> {
    const found = await this.#checkup.ask();
    return { ready: found.some(isOfUse), missing: this.#missing(found) };
  }

  /** As far as is known by now. */
  get registries(): readonly RegistryHealth[] {
    return this.#checkup.last ?? this.#registries().map(unknownHealth);
  }

  /** Whether anything can be served, as far as is known by now. */
  get ready(): boolean {
    return this.registries.some(isOfUse);
  }

  /** What does not work, as far as is known by now. */
  get missing(): readonly string[] {
    return this.#missing(this.registries);
  }

  close(): void {
    clearTimeout(this.#startTimer);
    this.#checkup.close();
  }

  #missing(found: readonly RegistryHealth[]): string[] {
    const upstreams = found.flatMap(({ name, upstreamTrouble }) => {
      const base = this.#registries().find((one) => one.name === name)?.registry?.base;
      const where = base ? base.origin + base.pathname : name;
      return upstreamTrouble === null ? [] : [`upstream ${where} ${upstreamTrouble}`];
    });
    const onNdn = found.flatMap(({ ndn, ndnTrouble }) =>
      (ndn === "silent" || ndn === "untrusted") && ndnTrouble !== null ? [`NDN: ${ndnTrouble}`] : [],
    );
    return [...upstreams, ...this.#otherTrouble(), ...new Set(onNdn)];
  }

  /** One line whenever it is something else than before. */
  #tell(): void {
    const missing = this.missing;
    const isSame = missing.length === this.#told.length && missing.every((one, i) => one === this.#told[i]);
    if (isSame) return;
    this.#told = missing;
    if (missing.length === 0) this.#log.info("everything works again");
    else this.#log.warn({ missing }, "not everything works (see /readyz); pulls go around it where they can");
  }
}

const startMs = 2_000;

async function healthOf(one: WatchedRegistry, signal: AbortSignal): Promise<RegistryHealth> {
  const [trouble, reaches] = await Promise.all([one.registry?.trouble(signal), one.ndn?.reach?.(signal)]);
  const upstream = !one.registry ? "off" : !trouble ? "answers" : trouble.isDown ? "down" : "doubtful";
  return {
    ...unknownHealth(one),
    upstream,
    upstreamTrouble: trouble?.reason ?? null,
    ...(reaches && ndnHealth(reaches)),
  };
}

/** Of several uplinks the best counts. */
function ndnHealth(reaches: readonly NdnReach[]): Partial<RegistryHealth> {
  const order = ["answers", "unknown", "untrusted", "silent", "down"] as const;
  const [best] = [...reaches].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  if (!best) return { ndn: "down", ndnTrouble: "there is no uplink" };
  return { ndn: best.state, ndnTrouble: troubleOf(best) };
}

function troubleOf(reach: NdnReach): string | null {
  if (reach.state === "untrusted") return anchorReason(reach.reason);
  return "reason" in reach ? reach.reason : null;
}

function unknownHealth({ name, registry, ndn, prefix }: WatchedRegistry): RegistryHealth {
  const isOff = ndn === undefined || prefix === undefined;
  return {
    name,
    upstream: registry ? "unknown" : "off",
    upstreamTrouble: null,
    ndn: isOff ? "off" : "unknown",
    ndnTrouble: null,
    prefix: prefix ? readableName(prefix) : null,
  };
}

function isOfUse({ upstream, ndn }: RegistryHealth): boolean {
  return (upstream !== "down" && upstream !== "off") || ndn === "answers" || ndn === "unknown";
}
