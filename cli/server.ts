/**
 * `ndn-registry server`: the registry host's half.
 */
import { readFileSync } from "node:fs";
import { Registry } from "prom-client";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { createServer, ServerStartError } from "#server/create-server.ts";
import type { BlobServer } from "#server/server.ts";
import { listenError } from "./errors.ts";
import { runUntilSignal } from "./lifetime.ts";
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

/** Start publishing. @throws StartError, OptionError, KeychainError */
export async function startBlobServer(
  values: PublishingValues,
  registry: RegistryClient,
  metrics: Registry,
  log: ReturnType<typeof createLogger>,
): Promise<BlobServer> {
  const { name: prefix, uplink: uplinks, face: faces, chunkSize: segmentBytes, state: stateDirectory } = values;
  const { keychain, exportAnchor, storage, publish, exclude } = values;
  const paths = { keychain, exportAnchor, storage, stateDirectory };
  const options = { prefix, registry, publish, exclude, uplinks, faces, segmentBytes, log, metrics, ...paths };
  return createServer(options).catch((err: unknown) => {
    if (!(err instanceof ServerStartError)) throw err;
    const { option, cause } = err;
    if (option === "face") throw listenError("face", faces.map((face) => face.text).join(", "), cause);
    throw new OptionError(`--${option}: ${(cause as Error).message}`, { cause });
  });
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
