/** What an error says, for logs and answers. */
export function reasonOf(err: unknown): string {
  return err instanceof Error ? err.message : `${typeof err} thrown`;
}
