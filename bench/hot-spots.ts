/**
 * Where a program spent its time, from the profile that `node --cpu-prof` writes.
 */

/** The parts of a `.cpuprofile` file (Chrome DevTools protocol, Profiler.Profile) that count here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  /** Microseconds of the system's monotonic clock, which `process.hrtime` reads too. */
  readonly startTime: number;
  /** Node of each sample. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/** A function by itself, without what it calls. */
export interface HotSpot {
  readonly name: string;
  /** File and line. */
  readonly place: string;
  readonly selfMs: number;
  /** Of the time in which the program did anything. */
  readonly share: number;
}

/** The functions with the most time of their own from a moment on, given as the profile's `startTime`; idling is none. */
export function hotSpots(profile: CpuProfile, fromMicros: number, root: string): HotSpot[] {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const spots = new Map<string, { name: string; place: string; selfMs: number }>();
  let nowMicros = profile.startTime;
  let busyMs = 0;
  for (const [index, id] of profile.samples.entries()) {
    const micros = profile.timeDeltas[index]!;
    nowMicros += micros;
    const { functionName, url, lineNumber } = frames.get(id)!;
    if (functionName === "(idle)" || nowMicros < fromMicros) continue;
    const place = url === "" ? "" : `${url.replace(`file://${root}`, "")}:${lineNumber + 1}`;
    const name = functionName || "(anonymous)";
    const spot = spots.get(`${name} ${place}`) ?? { name, place, selfMs: 0 };
    spot.selfMs += micros / 1000;
    busyMs += micros / 1000;
    spots.set(`${name} ${place}`, spot);
  }
  const sorted = [...spots.values()].sort((a, b) => b.selfMs - a.selfMs);
  return sorted.map((spot) => ({ ...spot, share: spot.selfMs / busyMs }));
}
