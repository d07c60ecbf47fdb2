/**
 * The composition root of the server: from parsed options to a server that answers Interests.
 */
import type { Logger } from "pino";
import { checkPrefixLength } from "#blob/names.ts";
import { exportAnchor, openIdentity } from "#ndn/trust/keychain.ts";
import { checkStorage } from "#publish/storage-range-reader.ts";
import { BlobServer, type BlobServerOptions } from "./server.ts";

/** What a server is created from; everything is already parsed. */
export interface ServerOptions extends Omit<BlobServerOptions, "identity"> {
  /** Directory of the key that signs; a new key is made when it has none for the prefix. */
  readonly keychain: string;
  /** File to write the certificate to, for those who are to trust this server. */
  readonly exportAnchor: string | undefined;
}

/** The option that keeps a server from starting; `cause` says why. */
export class ServerStartError extends Error {
  override readonly name = "ServerStartError";
  readonly option: "name" | "storage" | "export-anchor" | "face";

  constructor(option: ServerStartError["option"], cause: Error) {
    super(`${option}: ${cause.message}`, { cause });
    this.option = option;
  }
}

/** Check the options, open the identity and start. @throws ServerStartError, KeychainError */
export async function createServer(options: ServerOptions): Promise<BlobServer> {
  const { prefix, storage, keychain, exportAnchor: anchor, log } = options;
  await naming("name", () => checkPrefixLength(prefix));
  if (storage !== undefined) await naming("storage", () => warnIfEmpty(storage, log));
  const identity = await openIdentity(keychain, prefix);
  if (anchor !== undefined) await naming("export-anchor", () => exportAnchor(identity, anchor));
  return naming("face", () => BlobServer.start({ ...options, identity }));
}

async function naming<T>(option: ServerStartError["option"], work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err: unknown) {
    throw new ServerStartError(option, err as Error);
  }
}

async function warnIfEmpty(storage: string, log: Logger): Promise<void> {
  const hasRepositories = await checkStorage(storage);
  if (!hasRepositories) log.warn({ storage }, "no repositories there: a new registry, or is it not mounted?");
}
