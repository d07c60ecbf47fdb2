/**
 * What processes cost, from /proc: CPU time and peak memory.
 */
import { readFileSync, writeFileSync } from "node:fs";

/** Processes by the name they have in the table. */
export type Processes = Readonly<Record<string, { readonly pid: number }>>;

/** What one process took since {@link startMetering}. */
export interface Usage {
  readonly name: string;
  readonly cpuSeconds: number;
  /** Most resident memory at any moment, in bytes. */
  readonly peakBytes: number;
}

/** Begin to count; the returned function says what was used until its call. */
export function startMetering(processes: Processes): () => Usage[] {
  const entries = Object.entries(processes);
  for (const [, { pid }] of entries) writeFileSync(`/proc/${pid}/clear_refs`, "5"); // the peak starts anew: proc(5)
  const before = entries.map(([, { pid }]) => cpuSeconds(pid));
  return () =>
    entries.map(([name, { pid }], index) => ({
      name,
      cpuSeconds: cpuSeconds(pid) - before[index]!,
      peakBytes: peakBytes(pid),
    }));
}

/** The kernel's clock ticks in /proc are hundredths of a second on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** User and system time of a process and its threads so far. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // the command's name may have spaces in it
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Peak resident memory of a process: since its start, or since the metering began. */
export function peakBytes(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))!;
  return Number(kilobytes) * 1024;
}
