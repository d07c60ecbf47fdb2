/**
 * containerd: a `hosts.toml` for each registry (containerd's docs/hosts.md), which `ctr --hosts-dir` and nerdctl read too.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "smol-toml";
import { CommandError } from "../errors.ts";
import { certsFolder, notesOnCri } from "./containerd-cri.ts";
import { anyRegistry, dockerHub, type Endpoint, isLoopbackName } from "./endpoint.ts";
import type { Entry, Plan, Request } from "./entry.ts";

/** A mirror for each registry; undone for all that have one unless some are named. */
export async function planContainerd({ endpoint, registries, root, undo, only }: Request): Promise<Plan> {
  const named = registries.length > 0 ? registries : [dockerHub];
  const wanted = undo && registries.length === 0 ? await foldersIn(join(root, certsFolder)) : named;
  return {
    entries: wanted.map((registry) => hostsToml(endpoint, registry, only)),
    notes: [
      only
        ? "containerd asks the endpoint alone: what that does not have is not pulled from the registry itself."
        : "A registry that the endpoint does not serve is answered with 404, and containerd continues with the registry itself.",
      `nerdctl reads this by itself, ctr with --hosts-dir ${certsFolder}.`,
      ...(await notesOnCri(root)),
    ],
    restart: `nothing: containerd reads ${certsFolder} for every pull`,
  };
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

function hostsToml(endpoint: Endpoint, registry: string, only: boolean): Entry {
  const ownHead = only ? `server = "${endpoint.url}"\n\n` : head(registry);
  return {
    path: `${certsFolder}/${registry}/hosts.toml`,
    ownFolder: true,
    add(text) {
      const rest = withoutBlock(text ?? "");
      if (isHead(rest, registry, text)) return ownHead + block(endpoint);
      if (only) throw new CommandError(`has settings of its own; for --only write server = "${endpoint.url}" into it`);
      const before = hostsOf(parseHosts(rest));
      return Object.hasOwn(before, endpoint.url) ? rest : withBlock(rest, endpoint);
    },
    remove(text) {
      const rest = withoutBlock(text);
      return rest !== text && isHead(rest, registry, text) ? undefined : rest;
    },
  };
}

/** The text is cut, not printed again, so that remarks stay; what came of it is cached against what was meant. */
function withBlock(rest: string, endpoint: Endpoint): string {
  const after = insertBeforeTables(rest, block(endpoint));
  const [expected, hosts] = [Object.keys(hostsOf(parseHosts(rest))), Object.keys(tryHosts(after))];
  if (hosts.join("\n") !== [endpoint.url, ...expected].join("\n")) {
    throw new CommandError(`cannot be added to as it is written; put this into it by hand:\n${block(endpoint)}`);
  }
  return after;
}

/** What stands before the first table: the registry itself, asked after its mirrors. */
function head(registry: string): string {
  // Without `server` containerd takes the registry's own name.
  if (registry === anyRegistry) return "";
  const scheme = isLoopbackName(registry.replace(/:\d+$/, "")) ? "http" : "https";
  return `server = "${scheme}://${registry === dockerHub ? "registry-1.docker.io" : registry}"\n\n`;
}

/** Whether what is left without our table is nothing but what we write before it. */
function isHead(rest: string, registry: string, text: string | undefined): boolean {
  const endpoint = blockPattern.exec(text ?? "")?.[1];
  const heads = ["", head(registry).trim(), ...(endpoint === undefined ? [] : [`server = "${endpoint}"`])];
  return heads.includes(rest.trim());
}

const remark = "# Added by `ndn-registry configure containerd`; --undo takes these lines out.\n";

const blockPattern = new RegExp(
  `^${RegExp.escape(remark)}\\[host\\."([^"\\n]+)"\\]\\n {2}capabilities = \\["pull", "resolve"\\]\\n`,
  "m",
);

function block(endpoint: Endpoint): string {
  return `${remark}[host."${endpoint.url}"]\n  capabilities = ["pull", "resolve"]\n`;
}

/** The text without our lines, as it was before them. @throws CommandError when others have come to hang on them */
function withoutBlock(text: string): string {
  const ours = blockPattern.exec(text);
  if (ours === null) {
    if (text.includes(remark)) throw changedSince();
    return text;
  }
  const [before, after] = [text.slice(0, ours.index), text.slice(ours.index + ours[0].length)];
  // A key below our table is our table's; cut out, the key would come to belong to the table before it.
  if (!/^(?:[ \t]*(?:#.*)?\n)*(?:[ \t]*(?:\[|#.*$)|$)/.test(after)) throw changedSince();
  const rest = after === "" ? before.replace(/\n\n$/, "\n") : before + after.replace(/^\n/, "");
  if (Object.hasOwn(hostsOf(parseHosts(rest)), ours[1]!)) throw changedSince();
  return rest;
}

function changedSince(): CommandError {
  return new CommandError("our lines were changed since they were written; take them out by hand");
}

/** Before the first table and the remarks above it, so that the endpoint is asked first. */
function insertBeforeTables(text: string, lines: string): string {
  const table = /^(?:[ \t]*#.*\n)*[ \t]*\[/m.exec(text);
  if (table === null) return `${text.replace(/\n*$/, "\n")}\n${lines}`;
  return `${text.slice(0, table.index)}${lines}\n${text.slice(table.index)}`;
}

type Table = Readonly<Record<string, unknown>>;

function parseHosts(text: string): Table {
  try {
    return parse(text);
  } catch (err: unknown) {
    const [line] = (err as Error).message.split("\n");
    throw new CommandError(`not valid TOML, nothing is changed: ${line}`, { cause: err });
  }
}

function tryHosts(text: string): Table {
  try {
    return hostsOf(parse(text));
  } catch {
    return {}; // said by the caller, who knows that the text was good before
  }
}

function hostsOf(settings: Table): Table {
  return (settings.host as Table | undefined) ?? {};
}
