/**
 * Access to a cache directory: its files when no process has it open, else the process that has.
 */
import { access, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ImageLayout } from "#store/image-layout.ts";
import { StoreError } from "#store/store-port.ts";
import { isLoopbackName } from "../configure/endpoint.ts";
import { CommandError } from "../errors.ts";
import { RunningCache } from "./running-cache.ts";
import type { CachePort } from "./stored-cache.ts";
import { openStoredCache } from "./stored-cache.ts";

/** What a running client leaves in its cache directory, so that it can be asked. */
export const adminFile = "admin.json";

/** Open the cache; the caller disposes of it. @throws CommandError */
export async function openCache(cacheDir: string, openStored = openStoredCache): Promise<CachePort> {
  const directory = resolve(cacheDir);
  await requireCache(directory);
  try {
    return await openStored(directory);
  } catch (err: unknown) {
    if (!(err instanceof StoreError)) throw err;
    const url = await adminUrl(directory);
    if (url === undefined) {
      const message = `${err.message}; a client with --htpasswd or --tls-cert is asked over HTTP, at its /-/cache`;
      throw new CommandError(message, { cause: err });
    }
    return new RunningCache(url);
  }
}

/** A store makes what is missing, which is no way of looking at a directory that was named by mistake. */
async function requireCache(directory: string): Promise<void> {
  const { blobs, partials } = new ImageLayout(directory);
  try {
    await Promise.all([access(blobs), access(partials)]);
  } catch (err: unknown) {
    const { code } = err as NodeJS.ErrnoException;
    if (code === "EACCES") throw new CommandError(`no permission to read ${directory}: run it as the client's user`);
    throw new CommandError(`there is no cache in ${directory}; name its directory with --cache-dir`, { cause: err });
  }
}

/** undefined when there is none, or when it is not on this machine. */
async function adminUrl(directory: string): Promise<string | undefined> {
  try {
    const { url } = JSON.parse(await readFile(join(directory, adminFile), "utf8")) as { url: string };
    const { protocol, hostname, origin } = new URL(url);
    if (protocol === "unix:") return url;
    return /^https?:$/.test(protocol) && isLoopbackName(hostname) ? origin : undefined;
  } catch {
    return undefined; // then there is no way to ask, which is what the caller says
  }
}
