/**
 * Has the kernel lose datagrams.
 */
import { execFileSync } from "node:child_process";
import { testEnvironment } from "#test/support/environment.ts";
import { missingPrograms } from "#test/support/programs.ts";

/** Whether `losing` works here. */
export function canLose(): boolean {
  return missingPrograms(["root", "iptables"]).length === 0;
}

/** Lose this share of the datagrams from and to UDP ports of this machine, at random, until it is disposed of. */
export function losing(ports: readonly number[], share: number): Disposable {
  const rules = ports.flatMap((port) =>
    ["--sport", "--dport"].map((end) => [
      ...["INPUT", "-p", "udp", end, String(port)],
      ...["-m", "statistic", "--mode", "random", "--probability", String(share), "-j", "DROP"],
    ]),
  );
  const owned = new DisposableStack();
  const dispose = () => owned.dispose();
  process.once("exit", dispose); // of a run that is interrupted
  owned.defer(() => process.off("exit", dispose));
  for (const rule of rules) {
    iptables("-I", rule);
    owned.defer(() => iptables("-D", rule));
  }
  return owned;
}

function iptables(change: "-I" | "-D", rule: readonly string[]): void {
  execFileSync("iptables", ["-w", change, ...rule], { env: testEnvironment() });
}
