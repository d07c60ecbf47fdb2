/**
 * From an image's name, as pullers write it, to the registry, the repository and what is asked for there.
 */

import { RegistryError } from "#oci/errors.ts";
import { canonicalRegistry, isRepository, isTag, parseSha256 } from "#oci/reference.ts";
import { hubRepository, isLoopback, isRegistryName, parseImage } from "./manifests/image-names.ts";
import { pathNameOf } from "./registries/router.ts";

/** Where an image is. */
export interface ImagePlace {
  /** The registry's name in the configuration. */
  readonly registry: string;
  readonly repository: string;
  /** A tag or a sha256 digest. */
  readonly reference: string;
}

/** The configured registries. */
export interface Registries {
  readonly names: readonly string[];
  /** Of names without one. */
  readonly default: string;
}

/** @throws RegistryError for what is no image's name, and for other registries than those that are configured. */
export function placeOfImage(image: string, registries: Registries): ImagePlace {
  const { path, reference } = parseImage(image);
  const { registry, rest } = registryOf(path, registries);
  const repository = registry === "docker.io" ? hubRepository(rest) : rest;
  if (!isRepository(repository) || !(isTag(reference) || parseSha256(reference))) {
    throw new RegistryError("NAME_INVALID", `${JSON.stringify(image.slice(0, 300))} is not the name of an image`);
  }
  return { registry, repository, reference };
}

function registryOf(path: string, registries: Registries): { registry: string; rest: string } {
  const [, first = "", rest = ""] = /^([^/]+)\/(.+)$/.exec(path) ?? [];
  const spelled = canonicalRegistry(first);
  const registry = registries.names.find((name) => name === spelled || pathNameOf(name) === first);
  if (registry !== undefined) return { registry, rest };
  if (isLoopback(first)) return registryOf(rest, registries); // this endpoint
  if (!isRegistryName(first)) return { registry: registries.default, rest: path };
  const served = registries.names.join(", ");
  throw new RegistryError("NAME_UNKNOWN", `this endpoint serves ${served}, not ${first.slice(0, 100)}`);
}
