/**
 * `ndn-registry server`: the registry host's half.
 */
import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import type { Network } from "#oci/connections.ts";
import { passwordFile } from "#oci/credentials.ts";
import { createServer, type ServerOptions, ServerStartError } from "#server/create-server.ts";
import { listenError } from "./errors.ts";
import { createLogger } from "./logger.ts";
import { networkOf } from "./network/network.ts";
import { OptionError, type Values } from "./option.ts";
import { Hangups } from "./process/hangups.ts";
import { runUntilSignal } from "./process/lifetime.ts";
import { programMetrics } from "./program-metrics.ts";
import type { serverOptions } from "./server-options.ts";
import { defaultUplink } from "./shared-options.ts";

/** Run until a signal; resolves when everything is closed. @throws StartError, OptionError, KeychainError */
export async function runServer(values: Values<typeof serverOptions>): Promise<void> {
  const hangups = new Hangups();
  const log = createLogger(values);
  const network = networkOf(process.env, "registry-ca", values.registryCa);
  const options = publishingOf(values, values.registry, { network, log });
  const noFace = values.uplink.length === 0 && values.face.length === 0;
  const uplinks = noFace ? [parseFaceUrl(defaultUplink)] : values.uplink;
  const { status } = values;
  const server = await createServer({ ...options, uplinks, status, metrics: programMetrics(), log }).catch(
    (err: unknown) => {
      throw serverError(err, values);
    },
  );
  server.lookAtRegistry();
  log.info({ registry: values.registry.href, faces: values.face.map((face) => face.text) }, "server is running");
  await runUntilSignal(log, server, hangups);
}

type PublishingValues = Omit<
  Values<typeof serverOptions>,
  "registry" | "registryCa" | "status" | "logLevel" | "logFormat"
>;

/** What options and environment say of publishing the registry at `base`. @throws OptionError */
export function publishingOf(
  values: PublishingValues,
  base: URL,
  { network, log }: { readonly network: Network; readonly log: Pick<Logger, "warn"> },
): Omit<ServerOptions, "status" | "metrics" | "log"> {
  const { name: prefix, uplink: uplinks, face: faces, chunkSize: segmentBytes, state: stateDirectory } = values;
  const { keychain, exportAnchor, storage, publish, exclude, publishCatalog, mtu, memory: memoryBytes } = values;
  const registry = { base, network, credentials: registryLogin(process.env, log) };
  const paths = { keychain, exportAnchor, storage, stateDirectory };
  const links = { uplinks, faces, mtu };
  return { prefix, registry, publish, exclude, publishCatalog, segmentBytes, memoryBytes, ...links, ...paths };
}

/** Translate why a server cannot start into which option to change. */
export function serverError(
  err: unknown,
  { face: faces, status }: Pick<Values<typeof serverOptions>, "face"> & Partial<Values<typeof serverOptions>>,
): unknown {
  if (!(err instanceof ServerStartError)) return err;
  const { option, cause } = err;
  if (option === "face") return listenError("face", faces.map((face) => face.text).join(", "), cause);
  if (option === "status") return listenError("status", `${status?.host}:${status?.port}`, cause);
  return new OptionError(`--${option}: ${(cause as Error).message}`, { cause });
}

/**
 * The login of `DOCKER_NDN_REGISTRY_*`; environment only, so that it shows in no process list. A file is read again when
 * it changes.
 *
 * @throws OptionError
 */
function registryLogin(env: Readonly<Record<string, string | undefined>>, log: Pick<Logger, "warn">) {
  const username = env.DOCKER_NDN_REGISTRY_USERNAME;
  const file = env.DOCKER_NDN_REGISTRY_PASSWORD_FILE;
  const password = env.DOCKER_NDN_REGISTRY_PASSWORD;
  if (!username && !password && !file) return undefined;
  if (file) checkReadable(file);
  if (username && file) return passwordFile(username, file, { warn: (message) => log.warn(message) });
  if (username && password) return { username, password };
  throw new OptionError(
    "DOCKER_NDN_REGISTRY_USERNAME and DOCKER_NDN_REGISTRY_PASSWORD (or _PASSWORD_FILE) go together",
  );
}

function checkReadable(file: string): void {
  try {
    readFileSync(file);
  } catch (err: unknown) {
    throw new OptionError(`DOCKER_NDN_REGISTRY_PASSWORD_FILE: ${(err as Error).message}`, { cause: err });
  }
}
