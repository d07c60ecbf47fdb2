/**
 * From the options of a verb to what a client is opened with, and from why it cannot be to which option to change.
 */
import { readFileSync } from "node:fs";
import { formatAddress, ListenFailed } from "#client/listener/listen.ts";
import { ClientOptionError } from "#client/mirror.ts";
import type { ClientOptions } from "#client/parts.ts";
import type { clientOptions } from "./client-options.ts";
import { listenError } from "./errors.ts";
import { OptionError, type Values } from "./option.ts";

/** What the client takes from the options as they are, besides certificate and key. */
type ClientValues = Omit<ClientOptions, "tls" | "env" | "version"> &
  Pick<Values<typeof clientOptions>, "tlsCert" | "tlsKey">;

/** What a client is opened with. @throws OptionError */
export function endpointOptions({ tlsCert, tlsKey, ...values }: ClientValues): ClientOptions {
  return { ...values, tls: tlsFiles({ tlsCert, tlsKey }), env: process.env, version: packageVersion() };
}

/** The StartError or OptionError that says which option to change; any other error as it is. */
export function endpointError(err: unknown): unknown {
  if (err instanceof ClientOptionError) return new OptionError(err.message, { cause: err.cause });
  return err instanceof ListenFailed ? listenError("listen", formatAddress(err.address), err.cause) : err;
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
