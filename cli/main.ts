#!/usr/bin/env node
/**
 * The executable: finds the verb, reads its options, and turns failures into exit statuses
 * (2: the command line or the environment is wrong; 1: anything else).
 */
import yargs, { type Argv } from "yargs";
import { KeychainError } from "#ndn/keychain.ts";
import { runClient } from "./client.ts";
import { collectLessOften } from "./garbage-collector.ts";
import { StartError } from "./listen-error.ts";
import { type Option, OptionError, readOptions, type Values, variableOf } from "./option.ts";
import { clientOptions, secretVariables, serverOptions, startOptions } from "./option-table.ts";
import { runServer } from "./server.ts";
import { runStart } from "./start.ts";

type Options = Readonly<Record<string, Option<unknown>>>;

interface Verb<S extends Options> {
  readonly name: string;
  readonly help: string;
  readonly options: S;
  readonly examples: readonly (readonly [string, string])[];
  run(values: Values<S>): Promise<void>;
}

const start: Verb<typeof startOptions> = {
  name: "start",
  help: "Both halves in one process: try it on one machine, without a forwarder",
  options: startOptions,
  examples: [
    ["$0 start", "Docker Hub through localhost:5000"],
    ["$0 start --upstream http://127.0.0.1:5001 --listen 127.0.0.1:5050", "a registry of your own"],
  ],
  run: runStart,
};

const server: Verb<typeof serverOptions> = {
  name: "server",
  help: "The registry host's half: publish a registry's blobs over NDN",
  options: serverOptions,
  examples: [
    ["$0 server --registry http://127.0.0.1:5001 --name /example/registry", "through the local NFD"],
    ["$0 server --registry http://127.0.0.1:5001 --name /example/registry --face tcp://0.0.0.0:6363", "no forwarder"],
  ],
  run: runServer,
};

const client: Verb<typeof clientOptions> = {
  name: "client",
  help: "The puller's half: a registry endpoint whose blobs come over NDN",
  options: clientOptions,
  examples: [
    ["$0 client --upstream https://registry.example --name /example/registry", "through the local NFD"],
    [
      "$0 client --upstream https://registry.example --name /example/registry --uplink tcp://192.0.2.1:6363",
      "straight to a server's --face",
    ],
  ],
  run: runClient,
};

function addVerb<S extends Options>(cli: Argv, verb: Verb<S>): Argv {
  return cli.command(
    verb.name,
    verb.help,
    (builder) => {
      for (const option of Object.values(verb.options)) describe(builder, option);
      for (const [command, what] of verb.examples) builder.example(command, what);
      return builder;
    },
    async (argv) => {
      warnOfUnknownVariables(process.env);
      await verb.run(readOptions(verb.options, argv as Record<string, string>, process.env));
    },
  );
}

function describe(builder: Argv, option: Option<unknown>): void {
  const suffix = option.required
    ? " [required]"
    : option.fallback === undefined
      ? ""
      : ` [default: ${option.fallback}]`;
  builder.option(option.flag, {
    ...(option.alias && { alias: option.alias }),
    type: "string",
    requiresArg: true,
    ...(option.repeatable && { array: true, nargs: 1 }),
    describe: `${option.value}: ${option.help}${suffix}`,
  });
}

/** A mistyped variable would otherwise be ignored in silence. Variables of other verbs are fine: one `.env` serves all. */
function warnOfUnknownVariables(env: Readonly<Record<string, string | undefined>>): void {
  const all: Options[] = [serverOptions, clientOptions, startOptions];
  const known = new Set(Object.keys(secretVariables));
  for (const options of all) for (const option of Object.values(options)) known.add(variableOf(option.flag));
  const unknown = Object.keys(env).filter((name) => name.startsWith("DOCKER_NDN_") && !known.has(name));
  if (unknown.length > 0) process.stderr.write(`ndn-registry: unknown environment variables: ${unknown.join(", ")}\n`);
}

function exitStatus(err: unknown): number {
  if (err instanceof OptionError) return 2;
  return 1;
}

function report(err: unknown): void {
  const expected = err instanceof OptionError || err instanceof StartError || err instanceof KeychainError;
  const text = expected ? err.message : ((err as Error)?.stack ?? String(err));
  process.stderr.write(`ndn-registry: ${text}\n`);
}

async function main(args: readonly string[]): Promise<void> {
  const cli = yargs([...args])
    .scriptName("ndn-registry")
    .usage("$0 <command> [options]\n\nContainer images over Named Data Networking.")
    .epilogue("Every option is also an environment variable DOCKER_NDN_<OPTION>; see sample.env.")
    .strict()
    .demandCommand(1, "a command is needed: start, server or client (see --help)")
    .parserConfiguration({ "camel-case-expansion": false, "duplicate-arguments-array": true })
    .wrap(110)
    .exitProcess(false)
    .fail((message, err) => {
      // What yargs itself finds wrong comes with or without an error of its own.
      throw err === undefined || err.name === "YError" ? new OptionError(`${message} (see --help)`) : err;
    });
  addVerb(addVerb(addVerb(cli, start), server), client);
  await cli.parseAsync();
}

collectLessOften();
main(process.argv.slice(2)).catch((err: unknown) => {
  report(err);
  process.exitCode = exitStatus(err);
  // What was opened before the failure must not keep the process alive.
  setImmediate(() => process.exit());
});
