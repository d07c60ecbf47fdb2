/**
 * When a certificate may be used (NDN certificate format v2 § ValidityPeriod), and when its end is near.
 */
import { validityPeriod } from "../packet/structure.ts";
import { type TlvSpan, TT } from "../packet/tlv.ts";

const dayMs = 86_400_000;
/** Weeks of warning before a certificate ends. */
const warningMs = 30 * dayMs;

/** Both ends are part of it; milliseconds since 1970. */
export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Read the value of a ValidityPeriod element; undefined when it is malformed. */
export function readValidity(wire: Buffer, period: TlvSpan): Validity | undefined {
  const found = validityPeriod.read(wire, period.start, period.end);
  const [notBeforeMs, notAfterMs] = [TT.NotBefore, TT.NotAfter].map((type) => readTime(wire, found?.get(type)));
  return notBeforeMs === undefined || notAfterMs === undefined ? undefined : { notBeforeMs, notAfterMs };
}

/** `YYYYMMDDThhmmss` in UTC, as in ISO 8601. */
function readTime(wire: Buffer, span: TlvSpan | undefined): number | undefined {
  const text = span === undefined ? "" : wire.toString("latin1", span.start, span.end);
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)$/.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Whether a certificate may be used at this moment. */
export function isValidAt(validity: Validity, nowMs: number): boolean {
  return validity.notBeforeMs <= nowMs && nowMs <= validity.notAfterMs;
}

/** Whole days until the end; negative when it is past. */
export function daysLeft(validity: Validity, nowMs: number): number {
  return Math.floor((validity.notAfterMs - nowMs) / dayMs);
}

/** A sentence for the log from 30 days before the end on; undefined until then. */
export function expiryWarning(
  certificate: { readonly certificateName: string; readonly validity: Validity },
  nowMs: number,
): string | undefined {
  const { certificateName, validity } = certificate;
  const ends = new Date(validity.notAfterMs).toISOString();
  if (nowMs < validity.notBeforeMs) {
    return `certificate ${certificateName} is not valid before ${new Date(validity.notBeforeMs).toISOString()}`;
  }
  if (nowMs > validity.notAfterMs) return `certificate ${certificateName} has expired on ${ends}`;
  if (validity.notAfterMs - nowMs > warningMs) return undefined;
  return `certificate ${certificateName} expires in ${daysLeft(validity, nowMs)} days, on ${ends}`;
}
