/**
 * What the command line has and the verb has not: refused, with what was probably meant.
 */
import { nearestWord } from "#base/nearest-word.ts";
import { type Option, OptionError } from "../option.ts";

type Options = Readonly<Record<string, Option<unknown>>>;

/** What may stand on the command line behind `words`. */
export interface Known {
  /** What was chosen already: `["cache"]`. */
  readonly words: readonly string[];
  /** Verbs that may follow. */
  readonly next: readonly string[];
  readonly options: Options;
  /** Of the whole program, to say whose an option is. */
  readonly all: readonly { readonly words: readonly string[]; readonly verb: { readonly options: Options } }[];
}

/** Of every verb, and what yargs itself puts beside. */
const always = ["help", "h", "version", "v", "_", "$0"];

/** True when all is known. @throws OptionError for the first word or option that is not */
export function refuseUnknown(argv: Readonly<Record<string, unknown>>, known: Known): true {
  const flags = Object.values(known.options).flatMap(({ flag, alias }) => (alias ? [flag, alias] : [flag]));
  const word = (argv._ as readonly (string | number)[])[known.words.length];
  if (word !== undefined) throw new OptionError(unknownWord(String(word), known));
  const option = Object.keys(argv).find((key) => !always.includes(key) && !flags.includes(key));
  if (option !== undefined) throw new OptionError(unknownOption(option, flags, known));
  return true;
}

function unknownWord(word: string, { words, next }: Known): string {
  if (next.length === 0) return `${words.join(" ")} takes nothing more, but got ${JSON.stringify(word)} (see --help)`;
  const nearest = nearestWord(word, next);
  const hint = nearest ? `did you mean ${[...words, nearest].join(" ")}?` : `the commands are ${next.join(", ")}`;
  return `there is no command ${[...words, word].join(" ")}; ${hint}`;
}

function unknownOption(key: string, flags: readonly string[], { words, all }: Known): string {
  const written = key.length === 1 ? `-${key}` : `--${key}`;
  const having = all.filter(({ verb }) => Object.values(verb.options).some(({ flag }) => flag === key));
  const others = having.map((other) => other.words.join(" ")).join(", ");
  if (others !== "") return `${written} is an option of ${others}, not of ${words.join(" ")}`;
  const nearest = nearestWord(key, flags);
  return `there is no option ${written}${nearest ? `; did you mean --${nearest}?` : ` (see ${words.join(" ")} --help)`}`;
}

const variablePrefix = "DOCKER_NDN_";

/** Our variables in the environment that no verb has, each with the one that was probably meant. */
export function unknownVariables(
  env: Readonly<Record<string, string | undefined>>,
  known: readonly string[],
): string[] {
  const endings = known
    .filter((name) => name.startsWith(variablePrefix))
    .map((name) => name.slice(variablePrefix.length));
  return Object.keys(env)
    .filter((name) => name.startsWith(variablePrefix) && !known.includes(name))
    .map((name) => {
      const nearest = nearestWord(name.slice(variablePrefix.length), endings);
      return nearest ? `${name} (did you mean ${variablePrefix}${nearest}?)` : name;
    });
}
