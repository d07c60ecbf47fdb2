/**
 * How a registry says no (OCI distribution-spec § Error codes), and what is thrown when it says nothing at all: whatever
 * breaks in undici, before the headers or within the body, leaves this room as `RegistryUnreachable`; an abort stays
 * what it is.
 */
import type { IncomingHttpHeaders } from "node:http";

const statusOfCode = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  RANGE_INVALID: 416,
  SIZE_INVALID: 400,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
  UNSUPPORTED: 405,
} as const;

/** Codes of the specification, and those that registries use beside it (RANGE_INVALID, UNAVAILABLE, UNKNOWN). */
export type ErrorCode = keyof typeof statusOfCode;

/** The body that every refusal has: `{"errors":[{"code","message","detail"}]}`. */
export interface ErrorBody {
  errors: { code: ErrorCode; message: string; detail?: unknown }[];
}

/** An answer for the puller: a status and the registry's JSON. */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
  readonly code: ErrorCode;
  /** HTTP status; the usual one of the code unless given. */
  readonly status: number;
  readonly detail: unknown;

  constructor(code: ErrorCode, message: string, options: { status?: number; detail?: unknown; cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.status = options.status ?? statusOfCode[code];
    this.detail = options.detail;
  }

  toJSON(): ErrorBody {
    return errorBody(this.code, this.message, this.detail);
  }
}

/** The body of a refusal, as text. */
export function errorJson(code: ErrorCode, message: string, detail?: unknown): string {
  return JSON.stringify(errorBody(code, message, detail));
}

/** The registry could not be reached, broke off, or answers what no registry answers; `cause` has the foreign error. */
export class RegistryUnreachable extends Error {
  override readonly name = "RegistryUnreachable";
}

/** An answer of the registry, as far as it was read. */
export interface RegistryAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** At most 64 KiB. */
  readonly body: Buffer;
}

/** Another host than the registry, where the registry leads to, wants a login. */
export class LoginWanted extends RegistryUnreachable {}

/**
 * What is done for a puller beyond its own request, getting a token or following a redirect, has failed. It says nothing
 * about rights.
 * Where nothing else serves, `answer` is the puller's: what the registry said before, and what the puller would have
 * had to act on by itself.
 */
export class HelpFailed extends RegistryUnreachable {
  readonly answer: RegistryAnswer;

  constructor(failure: RegistryUnreachable, answer: RegistryAnswer) {
    super(failure.message, { cause: failure });
    this.answer = answer;
  }
}

function errorBody(code: ErrorCode, message: string, detail: unknown): ErrorBody {
  return { errors: [detail === undefined ? { code, message } : { code, message, detail }] };
}

/** `err` as this room's own; `what` is the request that it ended. */
export function unreachable(what: string, err: unknown): RegistryUnreachable {
  if (err instanceof RegistryUnreachable) return err;
  return new RegistryUnreachable(`${what}: ${reason(err)}`, { cause: err });
}

// A connection that failed on every address is an AggregateError with a code and no message.
function reason(err: unknown): string {
  if (!(err instanceof Error)) return String(err);
  return err.message || ("code" in err ? String(err.code) : err.name);
}
