/**
 * From the options of a verb to an open client.
 */
import { readFileSync } from "node:fs";
import { type Client, type ClientOptions, ListenFailed, openClient } from "#client/client.ts";
import { ClientOptionError } from "#client/mirror.ts";
import type { clientOptions } from "./client-options.ts";
import { listenError } from "./errors.ts";
import { OptionError, type Values } from "./option.ts";

/** What the client takes from the options as they are, besides certificate and key. */
type ClientValues = Omit<ClientOptions, "tls" | "env" | "version"> &
  Pick<Values<typeof clientOptions>, "tlsCert" | "tlsKey">;

/** Open a client, and tell which option to change when it cannot be. @throws StartError, OptionError */
export async function openEndpoint({ tlsCert, tlsKey, ...values }: ClientValues): Promise<Client> {
  const tls = tlsFiles({ tlsCert, tlsKey });
  try {
    return await openClient({ ...values, tls, env: process.env, version: packageVersion() });
  } catch (err: unknown) {
    if (err instanceof ClientOptionError) throw new OptionError(err.message, { cause: err.cause });
    const { host, port } = values.listen;
    throw err instanceof ListenFailed ? listenError("listen", `${host}:${port}`, err.cause) : err;
  }
}

function tlsFiles({ tlsCert, tlsKey }: Pick<ClientValues, "tlsCert" | "tlsKey">): ClientOptions["tls"] {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) throw new OptionError("--tls-cert and --tls-key go together");
  return { certFile: tlsCert, keyFile: tlsKey };
}

function packageVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
