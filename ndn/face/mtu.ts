/**
 * How large datagrams may be, so that IP never has to cut one up: a lost part would cost all of it, and many firewalls drop
 * parts.
 */
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";

/** Smallest size that can be chosen: what every IPv4 host takes is 576 bytes with its headers. */
export const minMtu = 500;
/** Largest size that can be chosen: a whole packet. */
export const maxMtu = 8800;
/** Passes Ethernet, and most tunnels on the way. */
const mostlyFits = 1400;
/** Of IPv6 and UDP; those of IPv4 are smaller. */
const headersBytes = 40 + 8;

/** Bytes of a datagram where nothing is said: 1400, or what fits all interfaces of this machine (on Linux). */
export function usualMtu(): number {
  const fits = Object.keys(networkInterfaces()).map((name) => interfaceMtu(name) - headersBytes);
  return Math.max(minMtu, Math.min(mostlyFits, ...fits));
}

function interfaceMtu(name: string): number {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/mtu`, "utf8")) || Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY; // an alias, another system, or gone
  }
}
