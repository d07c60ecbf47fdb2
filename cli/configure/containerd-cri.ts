/**
 * Whether containerd's Kubernetes side (CRI) reads our files: it does only where its own configuration says so.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "smol-toml";

/** Where containerd looks for registries when it is configured to. */
export const certsFolder = "/etc/containerd/certs.d";

const configFile = "/etc/containerd/config.toml";

/** What to put into config.toml, if it is missing there; the file itself is not touched. */
export async function notesOnCri(root: string): Promise<string[]> {
  const text = await readFile(join(root, configFile), "utf8").catch(() => "");
  const registry = registrySettings(text);
  if (registry === undefined) return [`${configFile} cannot be read as TOML; for Kubernetes it needs\n${lines}`];
  const { config_path: paths } = registry;
  const legacy = ["mirrors", "configs"].filter((key) => Object.keys((registry[key] as object) ?? {}).length > 0);
  if (typeof paths === "string" && paths.split(":").includes(certsFolder)) return [];
  const conflict = `\n(and without registry.${legacy.join(" and registry.")}, which containerd refuses beside config_path)`;
  return [
    `For Kubernetes (CRI) ${configFile} needs this, and then systemctl restart containerd:\n${lines}${legacy.length > 0 ? conflict : ""}`,
  ];
}

/** Of containerd 1.x and 2.x, which name the plugin differently. */
const lines = `
    # containerd 1.x (version = 2)
    [plugins."io.containerd.grpc.v1.cri".registry]
      config_path = "${certsFolder}"

    # containerd 2.x (version = 3)
    [plugins."io.containerd.cri.v1.images".registry]
      config_path = "${certsFolder}"
`;

const plugins = ["io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri", "cri"];

type Table = Readonly<Record<string, unknown>>;

/** The `registry` table of the first of these plugins that has one; undefined when the text is not TOML. */
function registrySettings(text: string): Table | undefined {
  try {
    const all = parse(text).plugins as Readonly<Record<string, Table>> | undefined;
    return (plugins.map((plugin) => all?.[plugin]?.registry).find(Boolean) ?? {}) as Table;
  } catch {
    return undefined;
  }
}
