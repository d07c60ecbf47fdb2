/**
 * Network namespaces in a row: the registry's host, two routers, and pullers behind the second one. IP goes the same way
 * as NDN, so that a link that is down is down for both.
 */
import { programPath } from "#test/support/programs.ts";
import { run } from "#test/support/run.ts";

/** Programs that {@link Network} needs. */
export const networkPrograms = ["root", "ip", "sysctl"] as const;

/** Addresses that the parts know each other by. */
export const addresses = {
  registryHost: "10.77.1.1",
  /** As the registry's host sees it, and as the second router does. */
  router1: { south: "10.77.1.2", north: "10.77.2.1" },
  /** As the first router sees it. */
  router2: "10.77.2.2",
  /** The second router as puller `i` sees it. */
  gatewayOf: (i: number) => `10.77.${10 + i}.1`,
  pullerOf: (i: number) => `10.77.${10 + i}.2`,
} as const;

/** The namespaces; names carry the process id, so that two soaks do not meet. */
export class Network implements AsyncDisposable {
  readonly registryHost = this.#name("reg");
  readonly router1 = this.#name("r1");
  readonly router2 = this.#name("r2");
  readonly pullers: readonly string[];
  readonly #made: string[] = [];

  constructor(pullers: number) {
    this.pullers = Array.from({ length: pullers }, (_, i) => this.#name(`p${i}`));
  }

  /** Make everything; `Symbol.asyncDispose` takes it away, also half of it. */
  async make(): Promise<void> {
    for (const name of [this.registryHost, this.router1, this.router2, ...this.pullers]) {
      await ip("netns", "add", name);
      this.#made.push(name);
      await ip("-n", name, "link", "set", "lo", "up");
    }
    await this.#link(this.registryHost, addresses.registryHost, this.router1, addresses.router1.south);
    await this.#link(this.router1, addresses.router1.north, this.router2, addresses.router2);
    for (const [i, puller] of this.pullers.entries()) {
      await this.#link(this.router2, addresses.gatewayOf(i), puller, addresses.pullerOf(i));
      await ip("-n", puller, "route", "add", "default", "via", addresses.gatewayOf(i));
    }
    await ip("-n", this.registryHost, "route", "add", "default", "via", addresses.router1.south);
    await ip("-n", this.router1, "route", "add", "10.77.8.0/21", "via", addresses.router2);
    await ip("-n", this.router2, "route", "add", "10.77.1.0/24", "via", addresses.router1.north);
    for (const router of [this.router1, this.router2]) await this.#forward(router);
  }

  /** How a program is started in a namespace. */
  inside(namespace: string, command: string, args: readonly string[]): { command: string; args: string[] } {
    return { command: programPath("ip"), args: ["netns", "exec", namespace, command, ...args] };
  }

  /** Take the link between the routers down, or up again; a route through it comes back by itself no sooner than that. */
  async setTrunk(state: "up" | "down"): Promise<void> {
    await ip("-n", this.router1, "link", "set", deviceOf(addresses.router1.north), state);
    if (state === "down") return;
    await ip("-n", this.router1, "route", "replace", "10.77.8.0/21", "via", addresses.router2);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#made.splice(0)) await ip("netns", "del", name).catch(() => undefined);
  }

  #name(short: string): string {
    return `ndnr-soak-${process.pid}-${short}`;
  }

  async #link(here: string, hereAddress: string, there: string, thereAddress: string): Promise<void> {
    const [device, peer] = [deviceOf(hereAddress), deviceOf(thereAddress)];
    await ip("link", "add", device, "netns", here, "type", "veth", "peer", "name", peer, "netns", there);
    for (const [name, dev, address] of [[here, device, hereAddress] as const, [there, peer, thereAddress] as const]) {
      await ip("-n", name, "address", "add", `${address}/24`, "dev", dev);
      await ip("-n", name, "link", "set", dev, "up");
    }
  }

  async #forward(router: string): Promise<void> {
    const { command, args } = this.inside(router, programPath("sysctl"), ["-qw", "net.ipv4.ip_forward=1"]);
    await run(command, args);
  }
}

/** `v10-77-1-1` has at most 15 characters, as a device's name must. */
function deviceOf(address: string): string {
  return `v${address.replaceAll(".", "-").slice(3)}`;
}

async function ip(...args: string[]): Promise<void> {
  await run(programPath("ip"), args);
}
