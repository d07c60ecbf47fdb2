/** What an error says, for logs and answers. */
export function reasonOf(err: unknown): string {
  return err instanceof Error ? err.message : `${typeof err} thrown`;
}

// An error may be its own cause; none is nested deeper by accident.
const maxDepth = 8;

/** The first error of this class among `err`, its causes and the errors of an AggregateError, to a depth of 8. */
export function findCause<T extends Error>(
  err: unknown,
  type: abstract new (...args: never[]) => T,
  depth = maxDepth,
): T | undefined {
  if (err instanceof type) return err;
  if (depth === 0 || !(err instanceof Error)) return undefined;
  const causes: readonly unknown[] = err instanceof AggregateError ? err.errors : [err.cause];
  for (const cause of causes) {
    const found = findCause(cause, type, depth - 1);
    if (found) return found;
  }
  return undefined;
}

/** `ENOSPC` and the like; undefined for errors that are not the operating system's. */
export function errorCode(err: unknown): string | undefined {
  const code = (err as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

/** The error and its causes, outermost first; of several that are one the first. */
export function causesOf(err: unknown): Error[] {
  const causes: Error[] = [];
  for (let next = err; next instanceof Error && causes.length < maxDepth; ) {
    causes.push(next);
    next = next instanceof AggregateError ? next.errors[0] : next.cause;
  }
  return causes;
}
