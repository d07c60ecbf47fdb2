/**
 * What ends a verb with exit status 1.
 */
import { OptionError } from "./option.ts";

/** A verb that runs to its end could not do what was asked: one line on stderr, exit status 1. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** A program cannot start for a reason outside its options' syntax: exit status 1. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** Translate what the system says of an address into which option to change. */
export function listenError(flag: string, address: string, err: unknown): Error {
  const { code, message } = err as NodeJS.ErrnoException;
  if (code === "EADDRINUSE")
    return new StartError(`${address} is taken by another program; choose another --${flag}`, { cause: err });
  if (code === "EACCES")
    return new StartError(`no permission to listen on ${address}; choose another --${flag}`, { cause: err });
  if (code === "ENOTFOUND" || code === "EADDRNOTAVAIL") {
    return new OptionError(`--${flag}: ${address} is not an address of this machine`, { cause: err });
  }
  return new StartError(`cannot listen on ${address} (--${flag}): ${message}`, { cause: err });
}
