/**
 * `ndn-registry server`: the registry host's half.
 */
import { readFileSync } from "node:fs";
import { Registry } from "prom-client";
import { checkPrefixLength } from "#blob/names.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { exportAnchor, type Identity, openIdentity } from "#ndn/trust/keychain.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { checkStorage } from "#publish/storage-range-reader.ts";
import { BlobServer } from "#server/server.ts";
import { runUntilSignal } from "./lifetime.ts";
import { listenError } from "./listen-error.ts";
import { createLogger } from "./logger.ts";
import { OptionError, type Values } from "./option.ts";
import type { serverOptions } from "./server-options.ts";
import { defaultUplink } from "./shared-options.ts";

/** Run until a signal; resolves when everything is closed. @throws StartError, OptionError, KeychainError */
export async function runServer(values: Values<typeof serverOptions>): Promise<void> {
  const log = createLogger(values);
  const metrics = new Registry();
  const registry = new RegistryClient({ base: values.registry, credentials: registryLogin(process.env) });
  const noWay = values.uplink.length === 0 && values.face.length === 0;
  const uplinks = noWay ? [parseFaceUrl(defaultUplink)] : values.uplink;
  const server = await startBlobServer({ ...values, uplink: uplinks }, registry, metrics, log);
  const status = values.status && (await openStatusPage(values.status, server, metrics));
  log.info({ registry: values.registry.href, faces: values.face.map((face) => face.text) }, "server is running");
  await runUntilSignal(log, async () => {
    await server.close();
    await status?.close();
    await registry.close();
  });
}

type PublishingValues = Omit<Values<typeof serverOptions>, "registry" | "status" | "logLevel" | "logFormat">;

/** Open the identity and start publishing. */
export async function startBlobServer(
  values: PublishingValues,
  registry: RegistryClient,
  metrics: Registry,
  log: ReturnType<typeof createLogger>,
): Promise<BlobServer> {
  try {
    checkPrefixLength(values.name);
  } catch (err: unknown) {
    throw new OptionError(`--name: ${(err as Error).message}`, { cause: err });
  }
  if (values.storage !== undefined) {
    const hasRepositories = await checkStorage(values.storage).catch((err: Error) => {
      throw new OptionError(`--storage: ${err.message}`, { cause: err });
    });
    const { storage } = values;
    if (!hasRepositories) log.warn({ storage }, "no repositories there: a new registry, or is it not mounted?");
  }
  const identity = await openIdentity(values.keychain, values.name);
  if (values.exportAnchor !== undefined) writeAnchor(identity, values.exportAnchor);
  return BlobServer.start({
    prefix: values.name,
    identity,
    registry,
    storage: values.storage,
    publish: values.publish,
    exclude: values.exclude,
    uplinks: values.uplink,
    faces: values.face,
    segmentBytes: values.chunkSize,
    stateDirectory: values.state,
    log,
    metrics,
  }).catch((err: unknown) => {
    const address = values.face.map((face) => face.text).join(", ");
    throw listenError("face", address, err);
  });
}

function writeAnchor(identity: Identity, path: string): void {
  try {
    exportAnchor(identity, path);
  } catch (err: unknown) {
    throw new OptionError(`--export-anchor: ${(err as Error).message}`, { cause: err });
  }
}

async function openStatusPage(listen: { host: string; port: number }, server: BlobServer, metrics: Registry) {
  const { openStatus } = await import("#server/status.ts"); // and the HTTP server
  return openStatus(listen, server, metrics).catch((err: unknown) => {
    throw listenError("status", `${listen.host}:${listen.port}`, err);
  });
}

/** The login of `DOCKER_NDN_REGISTRY_*`; environment only, so that it shows in no process list. @throws OptionError */
export function registryLogin(env: Readonly<Record<string, string | undefined>>) {
  const username = env.DOCKER_NDN_REGISTRY_USERNAME;
  const file = env.DOCKER_NDN_REGISTRY_PASSWORD_FILE;
  const password = file ? readPassword(file) : env.DOCKER_NDN_REGISTRY_PASSWORD;
  if (!username && !password) return undefined;
  if (!username || !password) {
    throw new OptionError(
      "DOCKER_NDN_REGISTRY_USERNAME and DOCKER_NDN_REGISTRY_PASSWORD (or _PASSWORD_FILE) go together",
    );
  }
  return { username, password };
}

function readPassword(file: string): string {
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (err: unknown) {
    throw new OptionError(`DOCKER_NDN_REGISTRY_PASSWORD_FILE: ${(err as Error).message}`, { cause: err });
  }
}
