import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { openMirror } from "#client/mirror.ts";
import { singleRegistry } from "#client/registries/client-config.ts";
import { createClientMetrics } from "#client/status/metrics.ts";
import { parseName } from "#ndn/packet/name.ts";
import { formatCertificates } from "#ndn/trust/certificate-file.ts";
import { openIdentity } from "#ndn/trust/keychain.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { UplinkBlobs } from "#uplinks/uplink-blobs.ts";

test("the anchors that are loaded are logged: files by name and digest, digests as they are", async () => {
  await using folder = await makeTemporaryFolder();
  const name = parseName("/example/registry");
  const { certificate, certificateName, digest } = await openIdentity(join(folder.path, "keychain"), name);
  const file = join(folder.path, "anchor.ndncert");
  await writeFile(file, formatCertificates([{ wire: certificate }]));
  const other = `sha256:${"0".repeat(64)}`;
  const lines: object[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as object) });
  const upstream = new URL("http://registry.example/");
  const [config] = singleRegistry({ name, upstream, anchors: [file, other] }).registries.values();
  const ndn = new UplinkBlobs([], { maxWindow: 1 }, log);
  const { registry } = openMirror(config!, { ndn, metrics: createClientMetrics(new Registry()), log, env: {} });
  await registry!.close();
  expect(lines).toMatchObject([
    {
      level: 30,
      registry: "registry.example",
      anchors: [{ digest, certificate: certificateName }, { digest: other }],
      msg: "anchors are loaded: every packet is checked",
    },
  ]);
});
