/**
 * The edge of the room towards undici: whatever breaks below, before the headers or within the body, comes out as
 * `RegistryUnreachable`; an abort stays what it is.
 */
import type { Dispatcher } from "undici";
import { RegistryUnreachable } from "./errors.ts";

/** Interceptor for `dispatcher.compose()`. */
export function translateErrors(dispatch: Dispatcher.Dispatch): Dispatcher.Dispatch {
  return (options, handler) => dispatch(options, new Translated(describe(options), handler));
}

/** `GET https://host/path`, without the query: that of a redirect is often a signature. */
function describe({ method, origin = "", path }: Dispatcher.DispatchOptions): string {
  return `${method} ${String(origin)}${path.split("?", 1)[0]}`;
}

class Translated implements Dispatcher.DispatchHandler {
  readonly #what: string;
  readonly #inner: Dispatcher.DispatchHandler;

  constructor(what: string, inner: Dispatcher.DispatchHandler) {
    this.#what = what;
    this.#inner = inner;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#inner.onRequestStart?.(controller, context);
  }

  onResponseStart(...args: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseStart"]>>): void {
    this.#inner.onResponseStart?.(...args);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#inner.onResponseData?.(controller, chunk);
  }

  onResponseEnd(...args: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseEnd"]>>): void {
    this.#inner.onResponseEnd?.(...args);
  }

  onResponseError(controller: Dispatcher.DispatchController, err: Error): void {
    this.#inner.onResponseError?.(controller, controller?.aborted ? err : unreachable(this.#what, err));
  }
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
