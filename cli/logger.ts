/**
 * The log of a program: JSON lines for machines, pretty on a terminal.
 */
import { createRequire } from "node:module";
import { type Logger, pino } from "pino";
import type PinoPretty from "pino-pretty";

/** Make the logger; messages go to stderr, so that stdout stays for what a command prints. */
export function createLogger(options: { logLevel: string; logFormat: "pretty" | "json" | undefined }): Logger {
  const format = options.logFormat ?? (process.stderr.isTTY ? "pretty" : "json");
  const stream = format === "pretty" ? prettyStream() : pino.destination({ dest: 2, sync: true });
  return pino({ level: options.logLevel, base: null }, stream);
}

/** Loads pino-pretty when it is called: a service, whose log is JSON, does without. */
function prettyStream() {
  const pretty = createRequire(import.meta.url)("pino-pretty") as typeof PinoPretty;
  return pretty({ destination: 2, sync: true, ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss.l" });
}
