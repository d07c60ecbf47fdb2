#!/usr/bin/env node
/**
 * The executable: finds the verb, reads its options, and turns failures into exit statuses
 * (2: the command line or the environment is wrong; 1: anything else).
 */
import yargs from "yargs";
import { KeychainError } from "#ndn/trust/errors.ts";
import { CommandError, StartError } from "./errors.ts";
import { hasVariable, OptionError, variableOf } from "./option.ts";
import { collectLessOften, keepYoungGenerationSmall } from "./process/garbage-collector.ts";
import { completionFlag } from "./verbs/completion.ts";
import { unknownVariables } from "./verbs/unknown.ts";
import { addVerbs, allVerbs } from "./verbs/verb.ts";
import { verbs } from "./verbs.ts";

/** A mistyped variable would otherwise be ignored in silence. Variables of other verbs are fine: one `.env` serves all. */
function warnOfUnknownVariables(env: Readonly<Record<string, string | undefined>>): void {
  const known = allVerbs(verbs).flatMap(({ verb: { secrets = {}, options } }) => [
    ...Object.keys(secrets),
    ...Object.values(options)
      .filter(hasVariable)
      .map(({ flag }) => variableOf(flag)),
  ]);
  const unknown = unknownVariables(env, known);
  if (unknown.length > 0) process.stderr.write(`ndn-registry: unknown environment variables: ${unknown.join(", ")}\n`);
}

function exitStatus(err: unknown): number {
  if (err instanceof OptionError) return 2;
  return 1;
}

function report(err: unknown): void {
  const expected = [OptionError, StartError, CommandError, KeychainError].some((kind) => err instanceof kind);
  const text = expected ? (err as Error).message : ((err as Error)?.stack ?? String(err));
  process.stderr.write(`ndn-registry: ${text}\n`);
}

async function main(args: readonly string[]): Promise<void> {
  const cli = yargs(args[0] === "help" ? [...args.slice(1), "--help"] : [...args])
    .scriptName("ndn-registry")
    .locale("en") // our own words are
    .usage("$0 <command> [options]\n\nContainer images over Named Data Networking.")
    .epilogue("Every option with a value is also an environment variable DOCKER_NDN_<OPTION>; see sample.env.")
    .alias({ help: "h", version: "v" })
    .parserConfiguration({
      "boolean-negation": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "duplicate-arguments-array": true,
      "short-option-groups": false, // -upstream is --upstream, as Go's programs have it
    })
    .wrap(110)
    .exitProcess(false)
    .fail((message, err) => {
      // What yargs itself finds wrong comes with or without an error of its own.
      throw err === undefined || err.name === "YError" ? new OptionError(`${message} (see --help)`) : err;
    });
  const isCompleting = args[0] === completionFlag;
  await addVerbs(cli, { verbs, isCompleting, onChosen: () => warnOfUnknownVariables(process.env) }).parseAsync();
}

// `… | head` has enough, which is no failure.
process.stdout.on("error", (err: NodeJS.ErrnoException) => {
  if (err.code !== "EPIPE") throw err;
  process.exit();
});
collectLessOften();
keepYoungGenerationSmall();
main(process.argv.slice(2)).catch((err: unknown) => {
  report(err);
  process.exitCode = exitStatus(err);
  // What was opened before the failure must not keep the process alive.
  setImmediate(() => process.exit());
});
