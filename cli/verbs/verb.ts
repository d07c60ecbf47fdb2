/**
 * A verb of the command line: its options are declared once, and what yargs has to know of them follows.
 */
import type { Argv } from "yargs";
import { type Option, readOptions, type Values } from "../option.ts";
import { refuseUnknown } from "./unknown.ts";

/** Options by the names that the program has for them. */
export type Options = Readonly<Record<string, Option<unknown>>>;

/** One verb. */
export interface Verb<S extends Options = Options> {
  readonly name: string;
  readonly help: string;
  readonly options: S;
  /** Variables without a flag, with what they hold; see `clientSecrets`. */
  readonly secrets?: Readonly<Record<string, string>>;
  readonly examples: readonly (readonly [string, string])[];
  run(values: Values<S>): Promise<void>;
}

/** Verbs below a word, such as `cache ls`. */
export interface VerbGroup {
  readonly name: string;
  readonly help: string;
  readonly verbs: readonly Verb[];
}

/** What the command line is made of. */
export interface CommandLine {
  readonly verbs: readonly (Verb | VerbGroup)[];
  /** Called when a verb was chosen, before it reads its options. */
  onChosen(): void;
  /** Whether a shell asks what may come next: then the values of an option are told, which yargs must not judge. */
  readonly isCompleting: boolean;
}

/** All verbs, those of groups included, with the words that call them: `["cache", "ls"]`. */
export function allVerbs(verbs: CommandLine["verbs"]): { readonly words: readonly string[]; readonly verb: Verb }[] {
  return verbs.flatMap((each) => {
    if ("run" in each) return [{ words: [each.name], verb: each }];
    return each.verbs.map((verb) => ({ words: [each.name, verb.name], verb }));
  });
}

/** Make the verbs known. @throws OptionError from `parse`, for what none of them has */
export function addVerbs(cli: Argv, line: CommandLine): Argv {
  for (const each of line.verbs) {
    if ("run" in each) addVerb(cli, each, [each.name], line);
    else cli.command(each.name, each.help, (builder) => addGroup(builder, each, line));
  }
  return demandVerb(cli, [], line.verbs, line);
}

function addGroup(builder: Argv, { name, verbs }: VerbGroup, line: CommandLine): Argv {
  for (const verb of verbs) addVerb(builder, verb, [name, verb.name], line);
  return demandVerb(builder, [name], verbs, line);
}

function demandVerb(cli: Argv, words: readonly string[], verbs: CommandLine["verbs"], line: CommandLine): Argv {
  const names = verbs.map(({ name }) => name);
  return cli
    .demandCommand(1, `a command is needed: ${names.slice(0, -1).join(", ")} or ${names.at(-1)}`)
    .check((argv) => refuseUnknown(argv, { words, next: names, options: {}, all: allVerbs(line.verbs) }), false);
}

function addVerb(cli: Argv, verb: Verb, words: readonly string[], line: CommandLine): void {
  const positionals = Object.values(verb.options).filter(({ positional }) => positional);
  cli.command(
    // In yargs's square brackets, because what is missing is said by readOptions.
    [verb.name, ...positionals.map(({ flag, repeatable }) => `[${flag}${repeatable ? ".." : ""}]`)].join(" "),
    verb.help,
    (builder) => {
      for (const option of Object.values(verb.options)) describe(builder, option, line.isCompleting);
      for (const [command, what] of verb.examples) builder.example(command, what);
      return verb.secrets ? builder.epilogue(secretsText(verb.secrets)) : builder;
    },
    async (argv) => {
      refuseUnknown(argv, { words, next: [], options: verb.options, all: allVerbs(line.verbs) });
      line.onChosen();
      await verb.run(readOptions(verb.options, argv as Record<string, string | boolean>, process.env));
    },
  );
}

function describe(builder: Argv, option: Option<unknown>, isCompleting: boolean): void {
  const { flag, alias, value, fallback } = option;
  const text = `${value && `${value}: `}${option.help}${option.required ? " [required]" : ""}`;
  const choices = isCompleting && /^[a-z0-9]+(?:\|[a-z0-9]+)+$/.test(value) ? { choices: value.split("|") } : {};
  // Not as yargs's own default, which would come before the environment.
  const shown = fallback === undefined ? {} : { defaultDescription: fallback };
  if (option.positional) return void builder.positional(flag, { type: "string", describe: text, ...choices });
  if (option.switch) return void builder.option(flag, { type: "boolean", describe: text });
  builder.option(flag, {
    ...(alias && { alias }),
    type: "string",
    requiresArg: option.bare === undefined,
    ...(option.repeatable && { array: true, nargs: 1 }),
    ...choices,
    ...shown,
    describe: text,
  });
}

function secretsText(secrets: Readonly<Record<string, string>>): string {
  const width = Math.max(...Object.keys(secrets).map((name) => name.length));
  const lines = Object.entries(secrets).map(([name, what]) => `  ${name.padEnd(width)}  ${what}`);
  return ["Environment only, since others can see a command line:", ...lines].join("\n");
}
