/**
 * The log of a program: JSON lines for machines, pretty on a terminal.
 */
import { type Logger, pino } from "pino";
import pretty from "pino-pretty";

/** Make the logger; messages go to stderr, so that stdout stays for what a command prints. */
export function createLogger(options: { logLevel: string; logFormat: "pretty" | "json" | undefined }): Logger {
  const format = options.logFormat ?? (process.stderr.isTTY ? "pretty" : "json");
  const stream =
    format === "pretty"
      ? pretty({ destination: 2, sync: true, ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss.l" })
      : pino.destination({ dest: 2, sync: true });
  return pino({ level: options.logLevel, base: null }, stream);
}
