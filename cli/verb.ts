/**
 * A verb of the command line: its options are declared once, and what yargs has to know of them follows.
 */
import type { Argv } from "yargs";
import { type Option, readOptions, type Values } from "./option.ts";

/** Options by the names that the program has for them. */
export type Options = Readonly<Record<string, Option<unknown>>>;

/** One verb. */
export interface Verb<S extends Options> {
  readonly name: string;
  readonly help: string;
  readonly options: S;
  readonly examples: readonly (readonly [string, string])[];
  run(values: Values<S>): Promise<void>;
}

/** Make the verb known; `before` is called when it was chosen. */
export function addVerb<S extends Options>(cli: Argv, verb: Verb<S>, before: () => void): Argv {
  const positionals = Object.values(verb.options).filter(({ positional }) => positional);
  return cli.command(
    // In yargs's square brackets, because what is missing is said by readOptions.
    [verb.name, ...positionals.map(({ flag, repeatable }) => `[${flag}${repeatable ? ".." : ""}]`)].join(" "),
    verb.help,
    (builder) => {
      for (const option of Object.values(verb.options)) describe(builder, option);
      for (const [command, what] of verb.examples) builder.example(command, what);
      return builder;
    },
    async (argv) => {
      before();
      await verb.run(readOptions(verb.options, argv as Record<string, string | boolean>, process.env));
    },
  );
}

function describe(builder: Argv, option: Option<unknown>): void {
  const suffix = option.required
    ? " [required]"
    : option.fallback === undefined
      ? ""
      : ` [default: ${option.fallback}]`;
  const text = `${option.value && `${option.value}: `}${option.help}${suffix}`;
  if (option.positional) return void builder.positional(option.flag, { type: "string", describe: text });
  if (option.switch) return void builder.option(option.flag, { type: "boolean", describe: text });
  builder.option(option.flag, {
    ...(option.alias && { alias: option.alias }),
    type: "string",
    requiresArg: true,
    ...(option.repeatable && { array: true, nargs: 1 }),
    describe: text,
  });
}
