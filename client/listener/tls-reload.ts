import type { Server } from "node:https";
import type { Logger } from "pino";
import { readTls, type TlsFiles } from "./tls.ts";
import { versionOf } from "./watched-file.ts";

const everyMs = 60_000;

/**
 * Look at the files once a minute, and when they have changed use them for new connections; what is wrong with them is a
 * warning, and the old ones stay in use.
 *
 * @param version - Of the files that the server began with, from `readTls`.
 * @returns Ends it.
 */
export function reloadTls(
  server: Pick<Server, "setSecureContext">,
  files: TlsFiles,
  version: string,
  log: Pick<Logger, "info" | "warn">,
): () => void {
  let seen = version;
  const look = () => {
    const now = `${versionOf(files.certFile)} ${versionOf(files.keyFile)}`;
    if (now === seen) return;
    seen = now;
    try {
      const { options, warnings } = readTls(files);
      server.setSecureContext(options);
      log.info({ cert: files.certFile }, "TLS certificate reloaded");
      for (const warning of warnings) log.warn(warning);
    } catch (err: unknown) {
      log.warn(
        { reason: (err as Error).message },
        "TLS files have changed and cannot be used; the old ones stay in use",
      );
    }
  };
  const timer = setInterval(look, everyMs).unref();
  return () => clearInterval(timer);
}
