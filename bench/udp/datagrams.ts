/**
 * What happens to datagrams in the kernel, and how to have it lose some.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
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
    await execute("iptables", ["-w", "-I", ...rule]);
    owned.defer(async () => void (await execute("iptables", ["-w", "-D", ...rule])));
  }
  return owned;
}

/** Counters of this machine, or of its network namespace. */
export interface DatagramCounters {
  /** Lost because a program did not read its socket soon enough. */
  readonly overflowed: number;
  /** Datagrams that IP had to cut up, or to put together. */
  readonly ipFragments: number;
}

/** What the kernel has counted so far, from /proc/net/snmp and snmp6. */
export function datagramCounters(): DatagramCounters {
  const snmp = readFileSync("/proc/net/snmp", "utf8");
  const snmp6 = readFileSync("/proc/net/snmp6", "utf8");
  const six = (name: string) => Number(new RegExp(`^${name}\\s+(\\d+)$`, "m").exec(snmp6)?.[1] ?? 0);
  return {
    overflowed: counter(snmp, "Udp", "RcvbufErrors") + six("Udp6RcvbufErrors"),
    ipFragments:
      counter(snmp, "Ip", "FragCreates") +
      counter(snmp, "Ip", "ReasmReqds") +
      six("Ip6FragCreates") +
      six("Ip6ReasmReqds"),
  };
}

/** A line of names, and one of numbers. */
function counter(snmp: string, protocol: string, name: string): number {
  const [names, numbers] = snmp.split("\n").filter((line) => line.startsWith(`${protocol}: `));
  return Number(numbers!.split(" ")[names!.split(" ").indexOf(name)]);
}
