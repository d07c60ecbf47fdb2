import type { ReadEvents } from "#blob/fallback.ts";
import type { SourceName } from "#blob/source.ts";
import { openVerified, type VerifiedRead } from "#blob/verify.ts";
import type { Puller } from "./fetch-reader.ts";
import { type PartialSource, RestMissing } from "./partial-source.ts";

/** Begin to read with the rights of one puller, going on from what is on disk. @throws The errors of `openVerified`. */
export function openFor(
  { blob, sources, events }: Puller,
  partial: PartialSource | undefined,
  signal: AbortSignal,
): Promise<VerifiedRead> {
  return openVerified([...(partial ? [partial] : []), ...sources], blob, signal, withoutEnd(events));
}

/** Whether pieces from this source can be believed without the rest of the blob: as the upstream's own, or checked. */
export function isTrusted({ sources }: Puller, name: SourceName): boolean {
  if (name === "upstream") return true;
  const meant = sources.filter((source) => source.name === name);
  return meant.length > 0 && meant.every((source) => source.isVerified === true);
}

/** That the partial ends is no failure to be told. */
function withoutEnd(events: ReadEvents): ReadEvents {
  return {
    ...events,
    unavailable: (source, offset, err) => {
      if (!(err instanceof RestMissing)) events.unavailable?.(source, offset, err);
    },
  };
}
