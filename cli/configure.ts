/**
 * `ndn-registry configure docker|containerd|podman`: make the endpoint a mirror of this machine's puller, or undo it.
 */
import { apply, type Change, isPending, planAdd, planRemove } from "./configure/config-file.ts";
import { planContainerd } from "./configure/containerd.ts";
import { planDocker } from "./configure/docker.ts";
import { defaultEndpoint } from "./configure/endpoint.ts";
import type { Plan, Request } from "./configure/entry.ts";
import type { configureOptions } from "./configure/options.ts";
import { planPodman } from "./configure/podman.ts";
import { OptionError, type Values } from "./option.ts";

/** Where the verb writes; the process's own, or a test's. */
export interface Printer {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

const terminal: Printer = {
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
};

const planners = {
  docker: planDocker,
  containerd: planContainerd,
  podman: planPodman,
} satisfies Record<string, (request: Request) => Plan | Promise<Plan>>;

/** Change the puller's files, or print what they would be. @throws CommandError, OptionError */
export async function runConfigure(
  values: Values<typeof configureOptions>,
  printer: Printer = terminal,
): Promise<void> {
  const { endpoint = defaultEndpoint, root } = values;
  const isEndpointNamed = values.endpoint !== undefined;
  const undo = values.undo === true;
  const registries = [...new Set(values.for)];
  const only = values.only === true;
  if (only && values.program !== "containerd")
    throw new OptionError(`--only is containerd's: ${values.program} has no such setting`);
  const plan = await planners[values.program]({ endpoint, isEndpointNamed, registries, root, undo, only });
  // All of them are planned before the first is written: one that cannot be changed leaves the others alone.
  const changes: Change[] = [];
  for (const entry of plan.entries) changes.push(await (undo ? planRemove : planAdd)(root, entry));
  if (values.print === true) return print(changes, undo ? [] : plan.notes, printer);
  const pending = changes.filter(isPending);
  if (pending.length === 0) printer.stdout(undo ? nothingToUndo(values) : unchanged(changes));
  for (const change of pending) printer.stdout(`${await apply(change)}\n`);
  if (!undo) for (const note of plan.notes) printer.stdout(`\n${note}\n`);
  if (pending.length > 0) printer.stdout(`\nTo restart: ${plan.restart}\n`);
}

function nothingToUndo({ endpoint }: Values<typeof configureOptions>): string {
  return `There is nothing to undo${endpoint ? ` for ${endpoint.url}` : ""}.\n`;
}

function unchanged(changes: readonly Change[]): string {
  return changes.map(({ file }) => `${file} has it already\n`).join("");
}

/** The files on stdout, so that they can be piped; what else there is to say on stderr. */
function print(changes: readonly Change[], notes: readonly string[], { stdout, stderr }: Printer): void {
  for (const { file, before, after } of changes) {
    if (after !== undefined) stdout(`# ${file}\n${after.replace(/\n?$/, "\n")}`);
    else stdout(`# ${file} ${before === undefined ? "does not exist" : "is removed"}\n`);
  }
  for (const note of notes) stderr(`${note}\n`);
}
