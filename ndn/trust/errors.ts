/**
 * What goes wrong in this room: a packet is not trusted, or the keychain directory cannot be used.
 */

/** The rule that was broken; a label for metrics. */
export type TrustRule =
  | "malformed"
  | "name"
  | "signature-type"
  | "key-locator"
  | "prefix"
  | "hierarchy"
  | "certificate"
  | "unavailable"
  | "busy"
  | "validity"
  | "chain-length"
  | "loop"
  | "not-anchored"
  | "signature";

/** The packet must not be used: ask for it again, or get the bytes elsewhere. */
export class Untrusted extends Error {
  override readonly name = "Untrusted";
  readonly rule: TrustRule;

  constructor(rule: TrustRule, message: string, options?: ErrorOptions) {
    super(message, options);
    this.rule = rule;
  }
}

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
