/**
 * Another configuration while the client runs: what has changed of it is used for new requests.
 */
import type { ClientOptionError } from "./mirror.ts";
import type { Mirrors } from "./mirrors.ts";
import type { ClientOptions } from "./parts.ts";
import type { Serve } from "./served-registries.ts";
import type { Health } from "./status/health.ts";

/** What a reload changes. */
export interface Reloadable {
  readonly options: Pick<ClientOptions, "readConfig" | "readNetwork" | "log">;
  readonly mirrors: Mirrors;
  readonly serve: Serve;
  readonly health: Health;
}

/** Read the configuration again, and serve it. Never rejects: what cannot be used is one line in the log. */
export async function reloadRegistries({ options, mirrors, serve, health }: Reloadable): Promise<void> {
  const { log } = options;
  try {
    const config = await options.readConfig();
    const before = mirrors.now;
    const left = mirrors.change(config, options.readNetwork?.());
    const names = new Set([...before.keys(), ...mirrors.now.keys()]);
    const changed = [...names].filter((name) => before.get(name) !== mirrors.now.get(name));
    const { retired } = await serve(mirrors.now, config.default);
    void retired.then(() => mirrors.close(left));
    for (const warning of config.warnings) log.warn(warning);
    health.changed();
    log.info({ registries: [...mirrors.now.keys()], changed }, "reloaded");
  } catch (err: unknown) {
    const reason = (err as ClientOptionError).message.replaceAll("\n", "; ");
    log.error({ reason }, "the configuration cannot be used; the old one stays in use");
  }
}
