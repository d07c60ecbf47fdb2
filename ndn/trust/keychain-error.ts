/**
 * What goes wrong with a keychain directory, as one line for the operator.
 */

/** The keychain directory cannot be used; the message says which file and what to do. */
export class KeychainError extends Error {
  override readonly name = "KeychainError";
}

/** Run `work` on the keychain in `directory`. @throws KeychainError for whatever it throws. */
export async function withKeychain<T>(directory: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err: unknown) {
    if (err instanceof KeychainError) throw err;
    throw new KeychainError(
      `keychain ${directory}: ${(err as Error).message}; repair it, or name another directory with --keychain`,
      { cause: err },
    );
  }
}
