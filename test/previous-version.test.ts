/**
 * What version 0.1.0 left on disk (recorded from its programs, in `previous-version/`) is used by this one: cache,
 * rights, state and signing key. The image is `team/app:latest` of a registry that was on 127.0.0.1:1009.
 */
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { freePort } from "./support/free-port.ts";
import { sumOf } from "./support/metrics.ts";
import { checkout } from "./support/programs.ts";
import { patternBlob, startRegistry } from "./support/registry.ts";
import { startClient, startServer } from "./support/running-program.ts";
import { useStage } from "./support/stage.ts";
import { until } from "./support/until.ts";

const recorded = join(checkout, "test/previous-version");
const prefix = "/previous/images";
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const digests = {
  manifest: "sha256:61d5613779acb6c1f369c2487bf07b49ad65e7b77555931332c517591c1861e8",
  config: "sha256:b87ca14b3e13d182098b8f6193a305ba0638378621864353181c7f00fe7a90ef",
  layer: "sha256:9fa80f36f261700f3614e1bf1bf802dfbb47f09801a6fe4fe24790f5ce5f2226",
};

const stage = useStage();

async function get(base: string, path: string): Promise<Response> {
  return fetch(`${base}/v2/team/app/${path}`, { headers: { accept: manifestType } });
}

test("cache, manifests and rights of the version before answer while the registry is down", async () => {
  const folder = await stage.newFolder("client");
  const cache = join(folder, "cache");
  await cp(join(recorded, "cache"), cache, { recursive: true });
  await mkdir(join(cache, "partial"), { recursive: true }); // empty, and so not in the repository: the mark of a cache
  const args = ["--upstream", "http://127.0.0.1:1009/", "--name", prefix, "--cache-dir", cache, "--uplink"];
  const client = stage.own(
    await startClient({ folder, args: [...args, `tcp://127.0.0.1:${await freePort()}`], mayBeUnready: true }),
  );
  const manifest = await get(client.url, "manifests/latest");
  expect([manifest.status, manifest.headers.get("docker-content-digest")]).toEqual([200, digests.manifest]);
  for (const digest of [digests.config, digests.layer]) {
    const blob = await get(client.url, `blobs/${digest}`);
    expect([blob.status, blob.headers.get("x-blob-source")]).toEqual([200, "store"]);
    await blob.arrayBuffer();
  }
});

test("key, repository index and digest lists of the version before serve pullers that trust its certificate", async () => {
  const folder = await stage.newFolder("server");
  for (const kept of ["keychain", "state"]) await cp(join(recorded, kept), join(folder, kept), { recursive: true });
  const registry = await startRegistry();
  stage.own({ [Symbol.asyncDispose]: () => registry.close() });
  const layer = patternBlob(20_000, 7);
  expect(registry.addImage("team/app", "latest", [layer]).layers).toEqual([digests.layer]);
  const face = `tcp://127.0.0.1:${await freePort()}`;
  const common = ["--name", prefix];
  const server = stage.own(
    await startServer({
      folder,
      args: [...common, "--registry", registry.url.href, "--face", face],
    }),
  );
  const anchor = join(recorded, "anchor.ndncert");
  const args = [...common, "--upstream", registry.url.href, "--uplink", face, "--anchor", anchor, "--hedge", "off"];
  const client = stage.own(await startClient({ folder, args: [...args, "--cache-size", "0"] }));
  await until("the uplink is up", async () => (await client.missing()).length === 0);
  const blob = await get(client.url, `blobs/${digests.layer}`);
  expect(Buffer.from(await blob.arrayBuffer()).equals(layer)).toBe(true);
  expect(blob.headers.get("x-blob-source")).toBe("ndn");
  const metrics = await server.metrics();
  expect(sumOf(metrics, "ndn_registry_server_digest_lists_total", { origin: "state" })).toBeGreaterThan(0);
  expect(sumOf(metrics, "ndn_registry_server_digest_lists_total", { origin: "computed" })).toBe(0);
});
