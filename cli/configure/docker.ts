/**
 * Docker: the endpoint as a mirror in `daemon.json` (Docker's "Registry as a pull through cache").
 */
import { CommandError } from "../errors.ts";
import { OptionError } from "../option.ts";
import { dockerHub, type Endpoint } from "./endpoint.ts";
import type { Entry, Plan, Request } from "./entry.ts";
import { addToArray, removeFromArray } from "./json-member.ts";

/** The mirror of Docker Hub, which is the only registry that Docker asks mirrors for. @throws OptionError */
export function planDocker({ endpoint, registries, undo }: Request): Plan {
  const other = registries.find((registry) => registry !== dockerHub);
  if (other !== undefined) {
    throw new OptionError(
      `--for ${other}: Docker uses mirrors for Docker Hub only; pull ${endpoint.host}/${other}/… instead`,
    );
  }
  return {
    entries: [daemonJson(endpoint)],
    notes: [
      "Docker uses mirrors for Docker Hub only; images of other registries do not come through the endpoint.",
      "Docker does not start when one of its own flags (--registry-mirror, --insecure-registry) sets the same key.",
    ],
    // Tried: on a reload Docker leaves a list as it is when the key is gone.
    restart: `systemctl restart docker${undo ? "" : " (or systemctl reload docker, which leaves containers alone)"}`,
  };
}

const path = "/etc/docker/daemon.json";
const mirrors = "registry-mirrors";
const insecure = "insecure-registries";

function daemonJson(endpoint: Endpoint): Entry {
  return {
    path,
    add(text) {
      const before = text === undefined || text.trim() === "" ? "{}\n" : text;
      const settings = parse(before);
      let after = before;
      if (!arrayOf(settings, mirrors).some(isUrlOf(endpoint))) after = addToArray(after, mirrors, endpoint.url);
      if (endpoint.isPlainHttp && !endpoint.isLoopback && !arrayOf(settings, insecure).includes(endpoint.host)) {
        after = addToArray(after, insecure, endpoint.host);
      }
      if (!arrayOf(parse(after), mirrors).some(isUrlOf(endpoint))) throw new Error("the entry went astray");
      return after;
    },
    remove(text, backup) {
      if (text.trim() === "") return text;
      const settings = parse(text);
      // Without a mirror of ours the host may be in the other list for reasons of its own.
      if (!arrayOf(settings, mirrors).some(isUrlOf(endpoint))) return text;
      let after = removeFromArray(text, mirrors, isUrlOf(endpoint));
      const wasInsecure =
        backup !== undefined && arrayOf(parse(backup.trim() || "{}"), insecure).includes(endpoint.host);
      if (endpoint.isPlainHttp && !endpoint.isLoopback && !wasInsecure) {
        after = removeFromArray(after, insecure, (item) => item === endpoint.host);
      }
      return Object.keys(parse(after)).length === 0 ? undefined : after;
    },
  };
}

/** Docker adds a slash itself where there is none. */
function isUrlOf(endpoint: Endpoint): (item: unknown) => boolean {
  return (item) => typeof item === "string" && item.replace(/\/$/, "") === endpoint.url;
}

type Settings = Readonly<Record<string, unknown>>;

function parse(text: string): Settings {
  let settings: unknown;
  try {
    settings = JSON.parse(text);
  } catch (err: unknown) {
    throw new CommandError(`not valid JSON, nothing is changed: ${(err as Error).message}`, { cause: err });
  }
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) {
    throw new CommandError("not a JSON object, nothing is changed");
  }
  return settings as Settings;
}

function arrayOf(settings: Settings, key: string): readonly unknown[] {
  const value = Object.hasOwn(settings, key) ? settings[key] : [];
  if (!Array.isArray(value)) throw new CommandError(`"${key}" is not a list, nothing is changed`);
  return value;
}
