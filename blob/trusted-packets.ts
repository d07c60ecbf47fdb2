/**
 * Signed packets of the server, asked for until one is right: what a cache on the path has instead of it costs one more Interest.
 */

import type { InterestClient, InterestOptions, RetryLimits } from "#ndn/consumer/interest-client.ts";
import type { Repair } from "#ndn/consumer/segment-check.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import type { Name } from "#ndn/packet/name.ts";
import { Untrusted } from "#ndn/trust/errors.ts";
import type { SignedData } from "#ndn/trust/signed-data.ts";
import type { Verifier } from "#ndn/trust/verifier.ts";
import type { BlobRef } from "./source.ts";

/** What happens to packets, for logs and metrics. */
export interface TrustEvents {
  /** A packet was not believed. */
  untrusted?(what: Name, reason: Error): void;
}

/** What happens to packets that are compared, for logs and metrics. */
export interface PacketEvents extends TrustEvents {
  /** A segment was not the right one. */
  wrong?(blob: BlobRef, segment: number): void;
  /** It has been replaced. */
  repaired?(blob: BlobRef, segment: number, how: Repair): void;
}

/** Negative answers that were signed longer ago are refused. */
const maxNackAgeMs = 60_000;

/** Asks through one uplink, and believes only what a verifier does. */
export class TrustedPackets {
  readonly #interests: Pick<InterestClient, "express">;
  readonly #verifier: Verifier;
  readonly #events: TrustEvents;

  constructor(interests: Pick<InterestClient, "express">, verifier: Verifier, events: TrustEvents) {
    this.#interests = interests;
    this.#verifier = verifier;
    this.#events = events;
  }

  /**
   * Ask for `name`; an answer that is not believed is asked for once more with a name that no cache can know.
   *
   * @param accept - Whether the answer can be used; false is as if its signature were wrong.
   * @throws Untrusted when the second answer is no better; Error when there is none.
   */
  async ask(
    name: Name,
    options: InterestOptions,
    limits: RetryLimits,
    signal: AbortSignal,
    accept: (data: SignedData) => boolean,
  ): Promise<SignedData> {
    try {
      return await this.#askOnce(name, options, limits, signal, accept);
    } catch (err: unknown) {
      if (!(err instanceof Untrusted)) throw err;
      this.#events.untrusted?.(name, err);
      return this.#askOnce(name, { ...options, isUnique: true }, limits, signal, accept);
    }
  }

  async #askOnce(
    name: Name,
    options: InterestOptions,
    limits: RetryLimits,
    signal: AbortSignal,
    accept: (data: SignedData) => boolean,
  ): Promise<SignedData> {
    const packet = await this.#interests.express(name, limits, signal, options);
    const data = await this.#verifier.verify(packet, signal);
    // What was signed for this very Interest is new, whatever the clocks say.
    if (!options.isUnique && isOldNack(data))
      throw new Untrusted("validity", "a negative answer is older than a minute");
    if (!accept(data)) throw new Untrusted("malformed", "its content is not what was asked for");
    return data;
  }
}

function isOldNack({ contentType, signature }: SignedData): boolean {
  return contentType === contentTypes.Nack && !(Date.now() - (signature.timeMs ?? 0) < maxNackAgeMs);
}
