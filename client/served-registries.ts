/**
 * The registries that a client serves at the moment, and the change to others while it runs.
 */
import type { Mirror } from "./mirror.ts";
import { createRouter, type Router } from "./registries/router.ts";
import { openRegistryService, type RegistryService, type SharedServices } from "./registry-service.ts";

/** Serve these registries from now on, the default one among them; resolves when those that are left out are closed. */
export type Serve = (mirrors: ReadonlyMap<string, Mirror>, defaultRegistry: string) => Promise<Replaced>;

/** What became of the mirrors before. */
export interface Replaced {
  /** Resolves when no request and no fetch uses them any more: then they are to be closed. */
  readonly retired: Promise<void>;
}

/** What is served: read for each request, replaced as a whole. */
export interface Serving {
  readonly route: Router;
  /** The registry of names without one. */
  readonly default: string;
  readonly registries: ReadonlyMap<string, RegistryService>;
}

/** Holds what is served. */
export class ServedRegistries {
  /** By their name in the configuration. */
  now: Serving = { route: () => ({ refused: "nothing is served" }), default: "", registries: new Map() };
  readonly #services: SharedServices;
  /** Those that are no longer served, while they are busy. */
  readonly #retiring = new Set<RegistryService>();

  constructor(services: SharedServices) {
    this.#services = services;
  }

  /** Serve these mirrors; the same mirror keeps its service, and requests that run end where they began. */
  async replace(mirrors: ReadonlyMap<string, Mirror>, defaultRegistry: string): Promise<Replaced> {
    const before = [...this.now.registries.values()];
    const left = before.filter(({ mirror }) => ![...mirrors.values()].includes(mirror));
    for (const service of left) await service.release();
    const registries = new Map(
      [...mirrors].map(([name, mirror]) => {
        const kept = before.find((service) => service.mirror === mirror);
        return [name, kept ?? openRegistryService(mirror, this.#services)];
      }),
    );
    const route = createRouter({ default: defaultRegistry, registries });
    this.now = { route, default: defaultRegistry, registries };
    return { retired: Promise.all(left.map((service) => this.#retire(service))).then(() => undefined) };
  }

  async close(): Promise<void> {
    const all = [...this.now.registries.values(), ...this.#retiring];
    await Promise.all(all.map((service) => service.close()));
  }

  async #retire(service: RegistryService): Promise<void> {
    this.#retiring.add(service);
    await service.retire();
    this.#retiring.delete(service);
  }
}
