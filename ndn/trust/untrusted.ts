/**
 * Why a packet is not believed.
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
