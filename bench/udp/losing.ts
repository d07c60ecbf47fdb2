/**
 * Has the kernel lose datagrams.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { testEnvironment } from "#test/support/environment.ts";
import { missingPrograms } from "#test/support/programs.ts";

const execute = promisify(execFile);

/** Whether `losing` works here. */
export function canLose(): boolean {
  return missingPrograms(["root", "iptables"]).length === 0;
}

/** Lose this share of the datagrams from and to UDP ports of this machine, at random, until it is disposed of. */
export async function losing(ports: readonly number[], share: number): Promise<AsyncDisposable> {
  const rules = ports.flatMap((port) =>
    ["--sport", "--dport"].map((end) => [
      ...["INPUT", "-p", "udp", end, String(port)],
      ...["-m", "statistic", "--mode", "random", "--probability", String(share), "-j", "DROP"],
    ]),
  );
  const owned = new AsyncDisposableStack();
  for (const rule of rules) {
    await iptables("-I", rule);
    owned.defer(() => iptables("-D", rule));
  }
  return owned;
}

async function iptables(change: "-I" | "-D", rule: readonly string[]): Promise<void> {
  await execute("iptables", ["-w", change, ...rule], { env: testEnvironment() });
}
