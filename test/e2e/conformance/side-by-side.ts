/**
 * The same requests straight at docker-registry and through the endpoint.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect } from "vitest";
import { type DockerRegistry, startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import { startBothHalves } from "#test/support/running-program.ts";
import { useStage } from "#test/support/stage.ts";
import { Party } from "./party.ts";

/** Something that a client of a registry does. */
export type Scenario = (party: Party) => Promise<void>;

/** A registry and an endpoint in front of it, running while the tests of a file run. */
export interface SideBySide {
  /** The registry itself, for what has to be there before anybody asks. */
  readonly registry: DockerRegistry;
  /** Base URL of the endpoint. */
  readonly endpoint: string;
  /**
   * Play the scenario straight and through the endpoint, each in a new repository, and expect the same answers.
   *
   * @param prepare - Puts content into each repository, straight at the registry.
   */
  compare(scenario: Scenario, prepare?: (repository: string) => Promise<unknown>): Promise<void>;
}

/** Command lines of `ndn-registry start` that the comparison is made with, by title. */
export const endpoints: ReadonlyMap<string, readonly string[]> = new Map([
  ["through the endpoint", []],
  ["through the endpoint without a cache", ["--cache-size", "0"]],
]);

/** Start both for the tests of this describe block; they are stopped at its end. */
export function useSideBySide(args: readonly string[]): SideBySide {
  const stage = useStage();
  let registry: DockerRegistry;
  let endpoint: string;
  let runs = 0;

  beforeAll(async () => {
    const [registryFolder, folder] = ["registry", "endpoint"].map((name) => join(stage.folder, name)) as [
      string,
      string,
    ];
    await Promise.all([mkdir(registryFolder), mkdir(folder)]);
    registry = stage.own(await startDockerRegistry({ folder: registryFolder }));
    const both = await startBothHalves({ folder, args: ["--upstream", registry.url, ...args] });
    endpoint = stage.own(both).url;
  });

  return {
    get registry() {
      return registry;
    },
    get endpoint() {
      return endpoint;
    },
    async compare(scenario, prepare) {
      const straight = new Party(registry.url, runs++);
      const through = new Party(endpoint, runs++);
      for (const { repository } of [straight, through]) await prepare?.(repository);
      await Promise.all([scenario(straight), scenario(through)]);
      expect(straight.transcript.length).toBeGreaterThan(0);
      expect(through.transcript).toEqual(straight.transcript);
    },
  };
}
