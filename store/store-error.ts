/** The store's directory cannot be used: tell the one who starts the program. The message names the directory and what to do. */
export class StoreError extends Error {
  override readonly name = "StoreError";
}

/** `ENOSPC` and the like; undefined for errors that are not the operating system's. */
export function errorCode(err: unknown): string | undefined {
  const code = (err as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}
