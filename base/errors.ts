/** What an error says, for logs and answers. */
export function reasonOf(err: unknown): string {
  return err instanceof Error ? err.message : `${typeof err} thrown`;
}

/** `ENOSPC` and the like; undefined for errors that are not the operating system's. */
export function errorCode(err: unknown): string | undefined {
  const code = (err as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}
