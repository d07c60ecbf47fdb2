/**
 * "first-byte": how much later the first byte of a cold blob comes over NDN than over HTTP.
 */
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { blobUrl } from "#test/support/slow-reader.ts";
import { type FreshBlob, type Rig, repository, startRig } from "./rig.ts";
import { measureEach, measureRounds, type Scenario, usualSizeBytes } from "./scenario.ts";

const goal = { needed: 30, aim: 10 };

/** Both paths in every round, each with a fresh blob of which only the beginning is read. */
export const firstByte: Scenario = {
  name: "first-byte",
  title: "first-byte: until the first byte of a cold blob's body",
  async run(context) {
    await using owned = new AsyncDisposableStack();
    const rig = await startRig(context, owned);
    await rig.server("server", ["--uplink", rig.uplink]);
    const client = await rig.client("client", rig.uplink);
    const sizeBytes = context.sizeBytes ?? usualSizeBytes;
    const figures = await measureRounds(context, async (note, round) => {
      const ends = [
        { url: rig.registry.url, source: undefined },
        { url: client.url, source: "ndn" },
      ] as const;
      const [straightMs, throughMs] = await measureEach(ends, round, ({ url, source }) =>
        untilFirstByte(rig, url, sizeBytes, source),
      );
      note({ name: "straight from the registry", unit: "ms" }, straightMs);
      note({ name: "server, ndnd, client", unit: "ms", isOurs: true }, throughMs);
      note({ name: "later than straight from the registry", unit: "ms", goal }, throughMs - straightMs);
    });
    return { sizeBytes, figures };
  },
};

/** Milliseconds until the first byte of a fresh blob; `source` is what `X-Blob-Source` has to say. */
export async function untilFirstByte(rig: Rig, endpoint: string, sizeBytes: number, source?: string): Promise<number> {
  const blob = await rig.freshBlob(sizeBytes);
  const startedAtMs = performance.now();
  const request = get(blobUrl(endpoint, repository, blob.digest), { agent: false });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const [piece] = (await once(response, "data")) as [Buffer];
  const ms = performance.now() - startedAtMs;
  response.on("error", () => undefined); // broken off by the next line
  response.destroy();
  check(response, piece, blob, source);
  return ms;
}

function check(response: IncomingMessage, piece: Buffer, { bytes }: FreshBlob, source: string | undefined): void {
  if (!piece.equals(bytes.subarray(0, piece.length))) throw new Error("wrong bytes at the blob's beginning");
  const found = response.headers["x-blob-source"];
  if (source !== undefined && found !== source)
    throw new Error(`the first byte came from ${String(found)}, not ${source}`);
}
