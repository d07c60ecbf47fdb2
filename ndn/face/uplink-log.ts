/**
 * Ups and downs of an uplink in the log: once per change, not once per attempt.
 */
import type { Uplink } from "./uplink.ts";

/** The two levels that are used of a logger. */
export interface UplinkLogger {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
}

/** Log whenever the uplink goes up, goes down, or cannot be reached for a new reason. */
export function logUplink(uplink: Uplink, log: UplinkLogger): void {
  const fields = { uplink: uplink.describe };
  let known = "";
  uplink.addListener({
    onUp: () => {
      known = "";
      log.info(fields, "uplink is up");
    },
    onDown: (reason) => {
      if (reason) log.warn({ ...fields, reason: reason.message }, "uplink went down");
    },
    onConnectFailed: (reason) => {
      if (reason.message === known) return;
      known = reason.message;
      log.warn({ ...fields, reason: reason.message }, "uplink cannot be reached; trying on");
    },
  });
}
