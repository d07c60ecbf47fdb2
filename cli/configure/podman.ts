/**
 * Podman, and whatever else reads containers-registries.conf(5): skopeo, Buildah, CRI-O.
 */
import { parse } from "smol-toml";
import { pathNameOf } from "#client/registries/router.ts";
import { CommandError } from "../errors.ts";
import { OptionError } from "../option.ts";
import { anyRegistry, dockerHub, type Endpoint, endpointUrl, hasPathName } from "./endpoint.ts";
import type { Entry, Plan, Request } from "./entry.ts";
import { dropInFolder, ownFile, rivals } from "./podman-rivals.ts";

/** A mirror for each registry, in a file that is ours alone; undone for all unless some are named. @throws OptionError */
export async function planPodman({ endpoint, registries, root, undo }: Request): Promise<Plan> {
  if (registries.includes(anyRegistry)) throw new OptionError(`--for ${anyRegistry}: only containerd has this`);
  const wanted = registries.length > 0 || undo ? registries : [dockerHub];
  if (!undo) refuseAddresses(endpoint, wanted);
  return {
    entries: [dropIn(endpoint, wanted)],
    notes: [...wanted.map((registry) => noteOn(endpoint, registry)), ...(await rivals(root, wanted))],
    restart: "nothing: podman, skopeo and Buildah read it each time (CRI-O: systemctl reload crio)",
  };
}

/** podman takes no brackets in the name of an image; with such a mirror it would not pull from the registry at all. */
function refuseAddresses(endpoint: Endpoint, registries: readonly string[]): void {
  if (!hasPathName(endpoint.host)) {
    throw new OptionError(`--endpoint ${endpoint.url}: podman takes no IPv6 address here; name the host instead`);
  }
  const address = registries.find((registry) => !hasPathName(registry));
  if (address === undefined) return;
  throw new OptionError(
    `--for ${address}: an IPv6 address cannot stand in the path of a mirror; name the host instead`,
  );
}

function noteOn(endpoint: Endpoint, registry: string): string {
  const mirror = mirrorOf(endpoint, registry);
  if (registry !== dockerHub) return `Images of ${registry} are asked for as ${mirror}/…`;
  return `Images of ${registry} are asked for as ${mirror}/…, so the endpoint's own upstream has to be Docker Hub.`;
}

const path = `${dropInFolder}/${ownFile}`;

/** One `[[registry]]` of ours. */
interface Mirrored {
  readonly registry: string;
  readonly endpoint: Endpoint;
}

/** The file is written whole from what it says, so that runs for several registries add up and each can be undone. */
function dropIn(endpoint: Endpoint, registries: readonly string[]): Entry {
  const others = (text: string) => read(text).filter(({ registry }) => !registries.includes(registry));
  return {
    path,
    ownFile: true,
    add(text) {
      const ours = registries.map((registry) => ({ registry, endpoint }));
      const all = [...(text === undefined ? [] : others(text)), ...ours];
      return render(all.toSorted((a, b) => (a.registry < b.registry ? -1 : 1)));
    },
    remove(text) {
      const [all, rest] = [read(text), others(text)];
      return registries.length === 0 || (rest.length === 0 && all.length > 0) ? undefined : render(rest);
    },
  };
}

function render(all: readonly Mirrored[], pathOf = pathNameOf): string {
  const remark = "# Written by `ndn-registry configure podman`; --undo takes it out. Not to be edited by hand.\n";
  return remark + all.map((one) => renderOne(one, pathOf)).join("");
}

function renderOne({ registry, endpoint }: Mirrored, pathOf: typeof pathNameOf): string {
  return `
[[registry]]
prefix = "${registry}"
location = "${registry}"

[[registry.mirror]]
location = "${mirrorOf(endpoint, registry, pathOf)}"
${endpoint.isPlainHttp ? "insecure = true\n" : ""}`;
}

/**
 * A mirror is asked for the repository without its registry, so the registry goes into the mirror's path,
 * except where the endpoint knows without it.
 */
function mirrorOf(endpoint: Endpoint, registry: string, pathOf = pathNameOf): string {
  return registry === dockerHub ? endpoint.host : `${endpoint.host}/${pathOf(registry)}`;
}

/** What the file says, if it is as this command writes it. @throws CommandError */
function read(text: string): Mirrored[] {
  const all = tryRead(text);
  // Before, a registry's port was written into the path as it is, which podman does not take.
  if (all === undefined || ![render(all), render(all, (registry) => registry)].includes(text)) {
    throw new CommandError("not as this command has written it; change it by hand, or move it away");
  }
  return all;
}

function tryRead(text: string): Mirrored[] | undefined {
  try {
    const { registry } = parse(text) as unknown as { registry: { prefix: string; mirror: Mirror[] }[] };
    return registry.map(({ prefix, mirror: [mirror] }) => {
      const [host] = mirror!.location.split("/", 1);
      return { registry: prefix, endpoint: endpointUrl(`${mirror!.insecure ? "http" : "https"}://${host}`) };
    });
  } catch {
    return undefined; // whatever is wrong with it, it is not ours
  }
}

interface Mirror {
  readonly location: string;
  readonly insecure?: boolean;
}
