/**
 * Other files that configure a registry of ours: the last one that is read takes it whole.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "smol-toml";

/** The folder whose `*.conf` files are read after registries.conf, in the order of their names. */
export const dropInFolder = "/etc/containers/registries.conf.d";

/** Our own file in it. */
export const ownFile = "ndn-registry.conf";

/** A sentence for each file below `root` that names one of these registries too. */
export async function rivals(root: string, registries: readonly string[]): Promise<string[]> {
  const dropIns = await readdir(join(root, dropInFolder)).catch(() => []);
  const others = dropIns.filter((name) => name.endsWith(".conf") && name !== ownFile).toSorted();
  const paths = ["/etc/containers/registries.conf", ...others.map((name) => `${dropInFolder}/${name}`)];
  const notes = await Promise.all(paths.map((path) => noteOn(root, path, registries)));
  return notes.flat();
}

async function noteOn(root: string, path: string, registries: readonly string[]): Promise<string[]> {
  const text = await readFile(join(root, path), "utf8").catch(() => "");
  const named = prefixesIn(text);
  const isLater = path > `${dropInFolder}/${ownFile}`;
  return registries
    .filter((registry) => named.includes(registry))
    .map((registry) =>
      isLater
        ? `${path} has an entry for ${registry} as well, is read later and wins: the mirror is not used for it.`
        : `${path} has an entry for ${registry} as well; this one replaces it.`,
    );
}

function prefixesIn(text: string): unknown[] {
  try {
    const { registry } = parse(text) as { registry?: unknown };
    if (!Array.isArray(registry)) return [];
    return (registry as { prefix?: unknown; location?: unknown }[]).map(({ prefix, location }) => prefix ?? location);
  } catch {
    return []; // an older form, or broken: for podman to say
  }
}
