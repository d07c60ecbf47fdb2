/** A verb that runs to its end could not do what was asked: one line on stderr, exit status 1. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}
