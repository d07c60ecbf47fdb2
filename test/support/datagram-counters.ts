/**
 * What the kernel counts of datagrams.
 */
import { readFileSync } from "node:fs";

/** Counters of this machine, or of its network namespace. */
export interface DatagramCounters {
  /** Lost because a program did not read its socket soon enough. */
  readonly overflowed: number;
  /** Parts that IP has cut datagrams into, or had to put together. */
  readonly ipFragments: number;
}

/** What has been counted so far, from /proc/net/snmp and snmp6. */
export function datagramCounters(): DatagramCounters {
  const snmp = readFileSync("/proc/net/snmp", "utf8");
  const snmp6 = readFileSync("/proc/net/snmp6", "utf8");
  const six = (name: string) => Number(new RegExp(`^${name}\\s+(\\d+)$`, "m").exec(snmp6)?.[1] ?? 0);
  const four = (protocol: string, name: string) => counterIn(snmp, protocol, name);
  const ofIp = [four("Ip", "FragCreates"), four("Ip", "ReasmReqds"), six("Ip6FragCreates"), six("Ip6ReasmReqds")];
  return {
    overflowed: four("Udp", "RcvbufErrors") + six("Udp6RcvbufErrors"),
    ipFragments: ofIp.reduce((sum, count) => sum + count, 0),
  };
}

/** A line of names, and one of numbers. */
function counterIn(snmp: string, protocol: string, name: string): number {
  const [names, numbers] = snmp.split("\n").filter((line) => line.startsWith(`${protocol}: `));
  return Number(numbers!.split(" ")[names!.split(" ").indexOf(name)]);
}
