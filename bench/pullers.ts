/**
 * "pullers": whether the forwarder makes one read of the registry out of many pulls of one blob at once.
 */
import { join } from "node:path";
import { sumOf } from "#test/support/metrics.ts";
import type { RunningProgram } from "#test/support/running-program.ts";
import { checkFile, curl, watchUpstream } from "./download.ts";
import { startRig } from "./rig.ts";
import { measureRounds, type Scenario, timed, usualSizeBytes } from "./scenario.ts";

const count = 8;
const goal = { needed: 1.1, aim: 1 };

/** Eight clients on one forwarder, all asked for the same cold blob at once. */
export const pullers: Scenario = {
  name: "pullers",
  title: `pullers: one cold blob by ${count} clients of one forwarder at once`,
  async run(context) {
    await using owned = new AsyncDisposableStack();
    const rig = await startRig(context, owned);
    const server = await rig.server("server", ["--uplink", rig.uplink]);
    const clients: RunningProgram[] = [];
    while (clients.length < count) clients.push(await rig.client(`client-${clients.length}`, rig.uplink));
    const sizeBytes = context.sizeBytes ?? usualSizeBytes;
    const figures = await measureRounds(context, async (note) => {
      const { digest } = await rig.freshBlob(sizeBytes);
      const files = clients.map((_, index) => join(rig.folder, `output-${index}`));
      const pulls = clients.map(({ url }, index) => [{ endpoint: url, digest, file: files[index]! }]);
      const [upstream, before] = [await watchUpstream(clients), await registryBytes(server)];
      const seconds = await timed(() => Promise.all(pulls.map(curl)));
      const readBytes = (await registryBytes(server)) - before;
      for (const file of files) await checkFile(file, digest);
      note({ name: "read from the registry", unit: "times the blob", goal }, readBytes / sizeBytes);
      note({ name: `${count} pulls, their sum`, unit: "MB/s" }, (count * sizeBytes) / 1e6 / seconds);
      await upstream(note, "all");
    });
    return { sizeBytes, figures };
  },
};

async function registryBytes(server: RunningProgram): Promise<number> {
  return sumOf(await server.metrics(), "ndn_registry_server_registry_bytes_total");
}
