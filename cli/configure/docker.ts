/**
 * Docker: the endpoint as a mirror in `daemon.json` (Docker's "Registry as a pull through cache").
 */
import { pathNameOf } from "#client/registries/router.ts";
import { CommandError } from "../errors.ts";
import { OptionError } from "../option.ts";
import { dockerHub, type Endpoint, endpointUrl, hasPathName } from "./endpoint.ts";
import type { Entry, Plan, Request } from "./entry.ts";
import { addToArray, removeFromArray } from "./json-member.ts";

/** The mirror of Docker Hub, which is the only registry that Docker asks mirrors for. @throws OptionError */
export function planDocker(request: Request): Plan {
  const { endpoint, registries, undo } = request;
  const other = registries.find((registry) => registry !== dockerHub);
  if (other !== undefined) {
    const instead = hasPathName(other) ? `pull ${endpoint.host}/${pathNameOf(other)}/…` : "pull from it directly";
    throw new OptionError(`--for ${other}: Docker uses mirrors for Docker Hub only; ${instead} instead`);
  }
  return {
    entries: [daemonJson(request)],
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

/** One mirror is ours at a time; which one is noted, as JSON has no remarks. */
function daemonJson({ endpoint: given, isEndpointNamed, undo }: Request): Entry {
  const endpointOf = (note: string | undefined) => (undo && !isEndpointNamed && noted(note)) || given;
  return {
    path,
    note: undo && !isEndpointNamed ? undefined : given.url,
    add(text, { backup, note }) {
      const endpoint = endpointOf(note);
      let after = text === undefined || text.trim() === "" ? "{}\n" : text;
      const replaced = noted(note);
      if (replaced && replaced.url !== endpoint.url) after = takeOut(after, replaced, backup);
      const settings = parse(after);
      if (!arrayOf(settings, mirrors).some(isUrlOf(endpoint))) after = addToArray(after, mirrors, endpoint.url);
      if (endpoint.isPlainHttp && !endpoint.isLoopback && !arrayOf(settings, insecure).includes(endpoint.host)) {
        after = addToArray(after, insecure, endpoint.host);
      }
      if (!arrayOf(parse(after), mirrors).some(isUrlOf(endpoint))) throw new Error("the entry went astray");
      return after;
    },
    remove(text, { backup, note }) {
      if (text.trim() === "") return text;
      const ours = undo ? [endpointOf(note)] : [noted(note) ?? given, given];
      const after = ours.reduce((rest, endpoint) => takeOut(rest, endpoint, backup), text);
      return after !== text && Object.keys(parse(after)).length === 0 ? undefined : after;
    },
  };
}

/** The text without the mirror, and without its host among the insecure ones if the mirror has put that there. */
function takeOut(text: string, endpoint: Endpoint, backup: string | undefined): string {
  // Without a mirror of ours the host may be in the other list for reasons of its own.
  if (!arrayOf(parse(text), mirrors).some(isUrlOf(endpoint))) return text;
  const rest = removeFromArray(text, mirrors, isUrlOf(endpoint));
  const wasInsecure = backup !== undefined && arrayOf(parse(backup.trim() || "{}"), insecure).includes(endpoint.host);
  if (!endpoint.isPlainHttp || endpoint.isLoopback || wasInsecure) return rest;
  return removeFromArray(rest, insecure, (item) => item === endpoint.host);
}

/** The endpoint of a note; undefined for one that was changed by hand. */
function noted(note: string | undefined): Endpoint | undefined {
  try {
    return note === undefined ? undefined : endpointUrl(note.trim());
  } catch {
    return undefined; // then the default stands for it, or what is named
  }
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
