/** The log of what reached a server. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";

/** One request, entered when it arrives. */
export interface SeenRequest {
  method: string;
  /** Path and query as they came. */
  url: string;
  headers: IncomingHttpHeaders;
  range: string | undefined;
  /** Undefined until the answer has begun. */
  readonly status: number | undefined;
}

export function seen(req: IncomingMessage, res: ServerResponse): SeenRequest {
  return {
    method: req.method ?? "",
    url: req.url ?? "",
    headers: req.headers,
    range: req.headers.range,
    get status() {
      return res.headersSent ? res.statusCode : undefined;
    },
  };
}
