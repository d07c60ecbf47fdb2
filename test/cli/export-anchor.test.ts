import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { OptionError } from "#cli/option.ts";
import { publishingOf, serverError } from "#cli/server.ts";
import { parseName } from "#ndn/packet/name.ts";
import { parseCertificates } from "#ndn/trust/certificate-file.ts";
import { Network } from "#oci/connections.ts";
import { createServer } from "#server/create-server.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ndnr-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Start a server that writes its certificate to `exportAnchor`, and what it logs. */
async function start(exportAnchor: string): Promise<string[]> {
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const values = {
    name: parseName("/test"),
    uplink: [],
    face: [],
    publish: [],
    exclude: [],
    publishCatalog: false,
    storage: undefined,
    chunkSize: 8192,
    memory: 64 * 1024 * 1024,
    keychain: join(folder, "keychain"),
    exportAnchor,
    state: join(folder, "state"),
    mtu: undefined,
  } as const;
  const options = publishingOf(values, new URL("http://127.0.0.1:9/"), { network: new Network(), log });
  const server = await createServer({ ...options, status: undefined, metrics: new Registry(), log }).catch((err) => {
    throw serverError(err, values);
  });
  await server.close();
  return lines;
}

test("the certificate that is written at the start is the one that the log names", async () => {
  const path = join(folder, "anchor.cert");
  const lines = await start(path);
  const [certificate] = parseCertificates(await readFile(path));
  const line = lines.find((each) => each.includes(certificate!.certificateName));
  expect(line).toContain(certificate!.digest);
  const written = lines.map((each) => JSON.parse(each) as object).find((each) => "file" in each);
  expect(written).toMatchObject({ msg: "anchor is written", file: path, digest: certificate!.digest });
});

test("a file that cannot be written stops the start, and the message names the option", async () => {
  const starting = start(join(folder, "nowhere", "anchor.cert"));
  await expect(starting).rejects.toThrow(OptionError);
  await expect(starting).rejects.toThrow(/^--export-anchor: /);
});
