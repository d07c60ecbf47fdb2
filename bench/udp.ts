/**
 * "udp": one cold blob over UDP and over unix sockets in turn, without loss and with 1 % of the datagrams lost.
 */
import { join } from "node:path";
import { datagramCounters } from "#test/support/datagram-counters.ts";
import { checkFile, curl, watchUpstream } from "./download.ts";
import { type Goal, measureRounds, type Note, type Scenario, thereAndBack, timed, usualSizeBytes } from "./scenario.ts";
import { canLose, losing } from "./udp/losing.ts";
import { startUdpPaths, type UdpPath, type UdpPaths } from "./udp/paths.ts";
import { startMetering } from "./usage.ts";

const loss = 0.01;
const ofUnix: Goal = { needed: 0.4, aim: 0.6 };
const ofNoLoss: Goal = { needed: 0.5, aim: 0.7 };
const memory: Goal = { needed: 200, aim: 150 };

/** A path, and what its datagrams suffer. */
interface Take {
  readonly path: UdpPath;
  readonly name: string;
  readonly isLossy: boolean;
}

/** See above. */
export const udp: Scenario = {
  name: "udp",
  title: "udp: one cold blob over UDP, beside unix sockets",
  async run(context) {
    await using owned = new AsyncDisposableStack();
    const paths = await startUdpPaths(context, owned);
    const sizeBytes = context.sizeBytes ?? usualSizeBytes;
    const takes = takesOf(paths).filter((_, index) => index === 0 || (context.rows?.includes(index) ?? true));
    if (!canLose()) context.progress("without rows with loss: they need root and iptables");
    const figures = await measureRounds(context, async (note, round) => {
      const seconds = new Map<string, number>();
      for (const take of thereAndBack(takes, round)) {
        seconds.set(take.name, await measure(take, paths, sizeBytes, note));
        context.progress(`round ${round}: ${take.name}: ${seconds.get(take.name)!.toFixed(2)} s`);
      }
      noteRatios(paths, seconds, note);
    });
    return { sizeBytes, figures };
  },
};

function takesOf({ unix, overUdp }: UdpPaths): Take[] {
  const lossless = [unix, ...overUdp].map((path) => ({ path, name: path.name, isLossy: false }));
  const lossy = overUdp.map((path) => ({ path, name: lossyName(path), isLossy: true }));
  return canLose() ? [...lossless, ...lossy] : lossless;
}

function lossyName({ name }: UdpPath): string {
  return `${name}, ${loss * 100} % lost`;
}

async function measure({ path, name, isLossy }: Take, { rig, ports }: UdpPaths, sizeBytes: number, note: Note) {
  const { digest } = await rig.freshBlob(sizeBytes);
  const file = join(rig.folder, "output");
  using _ = isLossy ? losing(ports, loss) : undefined;
  const upstream = await watchUpstream([path.client]);
  const before = datagramCounters();
  const meter = startMetering({ server: path.server.process, client: path.client.process, ndnd: rig.forwarder });
  const seconds = await timed(() => curl([{ endpoint: path.client.url, digest, file }]));
  const usages = meter();
  const after = datagramCounters();
  await checkFile(file, digest);
  note({ name, unit: "MB/s", isOurs: true }, sizeBytes / 1e6 / seconds);
  for (const usage of usages) {
    note({ name: `${name}: CPU of ${usage.name}`, unit: "s/GB" }, usage.cpuSeconds / (sizeBytes / 1e9));
    if (usage.name === "ndnd") continue;
    const goal = usage.name === "client" ? { goal: memory } : {};
    note({ name: `${name}: peak memory of ${usage.name}`, unit: "MB resident", ...goal }, usage.peakBytes / 1e6);
  }
  note({ name: `${name}: lost in sockets`, unit: "datagrams" }, after.overflowed - before.overflowed);
  note({ name: `${name}: IP fragments`, unit: "datagrams" }, after.ipFragments - before.ipFragments);
  await upstream(note, name);
  return seconds;
}

function noteRatios({ unix, overUdp }: UdpPaths, seconds: ReadonlyMap<string, number>, note: Note): void {
  for (const path of overUdp) {
    const [lossless, lossy] = [seconds.get(path.name), seconds.get(lossyName(path))];
    if (lossless === undefined) continue;
    const unit = "times as fast";
    note({ name: `${path.name} : ${unix.name}`, unit, goal: ofUnix }, seconds.get(unix.name)! / lossless);
    if (lossy !== undefined) note({ name: `${lossyName(path)} : none`, unit, goal: ofNoLoss }, lossless / lossy);
  }
}
