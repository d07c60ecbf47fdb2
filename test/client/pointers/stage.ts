/** A client that reaches a registry over NDN alone, or over NDN and HTTPS, and the server that it asks. */

import pino from "pino";
import { Registry } from "prom-client";
import { afterEach, beforeEach } from "vitest";
import { openClient } from "#client/client.ts";
import type { ClientParts } from "#client/parts.ts";
import { type RegistryConfig, singleRegistry } from "#client/registries/client-config.ts";
import { createClientMetrics } from "#client/status/metrics.ts";
import type { PacketHandler } from "#ndn/face/face.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { parseName } from "#ndn/packet/name.ts";
import { TrustAnchors } from "#ndn/trust/anchors.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import type { TestIdentity } from "#test/publish/identity.ts";
import { UplinkBlobs } from "#uplinks/uplink-blobs.ts";
import type { Endpoint } from "../endpoint.ts";
import { SigningServer } from "./signing-server.ts";

export const prefix = parseName("/test/registry");
export const repository = "team/app";
export const manifest = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", layers: [] }),
);

export interface PointerStage {
  owned: AsyncDisposableStack;
  server: SigningServer;
  start(options?: Partial<ClientParts> & Partial<RegistryConfig>): Promise<Endpoint>;
}

/** Set up before each test of a file. */
export function usePointerStage(): PointerStage {
  const stage = {} as PointerStage;
  beforeEach(async () => {
    stage.owned = new AsyncDisposableStack();
    stage.server = await SigningServer.start(prefix);
  });
  afterEach(() => stage.owned.disposeAsync());
  stage.start = async (options = {}) => stage.owned.use(await startClient(stage.server, options));
  return stage;
}

/** A client of whatever answers Interests; without an upstream it has NDN alone. */
export async function startClient(
  server: { readonly producer: PacketHandler; readonly identity: Pick<TestIdentity, "parsed"> },
  {
    upstream,
    manifests,
    maxAgeMs,
    staleTagsMs,
    authorize,
    offline,
    ...parts
  }: Partial<ClientParts> & Partial<RegistryConfig>,
): Promise<Endpoint> {
  const logs: Record<string, unknown>[] = [];
  const log = pino({ level: "info" }, { write: (line) => logs.push(JSON.parse(line) as Record<string, unknown>) });
  const ndn = new UplinkBlobs([new MemoryUplink(server.producer)], { maxWindow: 64 }, log);
  ndn.open();
  const policy = Object.fromEntries(
    Object.entries({ manifests, maxAgeMs, staleTagsMs, authorize, offline }).filter(([, value]) => value !== undefined),
  );
  const { default: name, registries } = singleRegistry({ name: prefix, upstream, ...policy });
  const registry = upstream && new RegistryClient({ base: upstream });
  const metrics = new Registry();
  const anchors = TrustAnchors.load([]);
  anchors.trust(server.identity.parsed);
  const mirror = { config: registries.get(name)!, registry, ndn: ndn.under(prefix, anchors) };
  const client = await openClient({
    mirrors: new Map([[name, mirror]]),
    defaultRegistry: name,
    log,
    metrics: createClientMetrics(metrics),
    readiness: () => ({ ready: true, missing: [] }),
    listen: [{ host: "127.0.0.1", port: 0 }],
    ...parts,
  });
  const close = async () => {
    await client.close(0);
    await registry?.close();
    ndn.close();
  };
  return { url: new URL(client.url), client, logs, metrics, [Symbol.asyncDispose]: close };
}
