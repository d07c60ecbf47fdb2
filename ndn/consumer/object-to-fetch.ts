/**
 * What is asked of a `SegmentConsumer`: the object, its sizes, and how its segments are checked.
 */
import type { Name } from "../packet/name.ts";
import type { PrefixPath } from "./prefix-path.ts";
import type { SegmentCheck } from "./segment-check.ts";

/** What to fetch. */
export interface ObjectToFetch extends SegmentSizes {
  /** Name of the object: all before the segment component. */
  readonly object: Name;
  /** ForwardingHint of every Interest. */
  readonly hint?: Name;
  /** Another name for the same segments that is asked when the first one stays unanswered (plain form). */
  readonly alternative?: Name;
  /** The path to who answers for it, shared with other objects. @defaultValue one that all without share */
  readonly path?: PrefixPath;
  /** Given, every segment is compared before it is handed on, and a wrong one replaced. */
  readonly check?: SegmentCheck;
}

/** Which segments are wanted, and the payload that each has. */
export interface SegmentSizes {
  /** First segment wanted and last one of the object. */
  readonly firstSegment: number;
  readonly lastSegment: number;
  /** Payload of every segment but the last, and of the last, in bytes. */
  readonly segmentBytes: number;
  readonly lastSegmentBytes: number;
}

/** Why a fetch ended early. */
export class FetchFailed extends Error {
  override readonly name = "FetchFailed";
}
