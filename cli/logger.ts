/**
 * The log of a program: one line per message, JSON for machines, readable on a terminal.
 */
import { createRequire } from "node:module";
import { type Logger, pino } from "pino";
import type PinoPretty from "pino-pretty";

/**
 * Make the logger; messages go to stderr, so that stdout stays for what a command prints. Levels have their names, and
 * times are ISO 8601 with milliseconds: UTC in JSON, local with its offset on a terminal.
 */
export function createLogger(options: { logLevel: string; logFormat: "pretty" | "json" | undefined }): Logger {
  const format = options.logFormat ?? (process.stderr.isTTY ? "pretty" : "json");
  const stream = format === "pretty" ? prettyStream() : pino.destination({ dest: 2, sync: true });
  const formatters = { level: (level: string) => ({ level }) };
  return pino({ level: options.logLevel, base: null, formatters, timestamp: pino.stdTimeFunctions.isoTime }, stream);
}

/** Loads pino-pretty when it is called: a service, whose log is JSON, does without. */
function prettyStream() {
  const pretty = createRequire(import.meta.url)("pino-pretty") as typeof PinoPretty;
  return pretty({ destination: 2, sync: true, singleLine: true, translateTime: "SYS:yyyy-mm-dd'T'HH:MM:ss.lp" });
}
