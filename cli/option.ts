/**
 * What an option is: declared once, and flag, environment variable, help, `sample.env` and docs/options.md follow from it.
 */

/** A value that cannot be used; the message names the option and what it takes. */
export class OptionError extends Error {
  override readonly name = "OptionError";
}

/** One option; `T` is what the program gets. */
export interface Option<T> {
  /** Flag without dashes; the environment variable is `DOCKER_NDN_` and the same in capitals. */
  readonly flag: string;
  readonly alias?: string;
  /** What the value looks like in help, e.g. `URL`. */
  readonly value: string;
  /** Whether it may be given several times (comma-separated in the environment). */
  readonly repeatable?: boolean;
  /** Stands behind the verb, without a flag and without a variable. */
  readonly positional?: boolean;
  /** A flag without a value, and without a variable: what is done once is no configuration. */
  readonly switch?: boolean;
  /** Text that the flag alone stands for. @defaultValue it needs a value */
  readonly bare?: string;
  /** One sentence for help and `sample.env`. */
  readonly help: string;
  /** Text that stands for a missing value; undefined makes the option optional, or required when `required` is set. */
  readonly fallback?: string;
  readonly required?: boolean;
  /** The predecessor's environment variable, read last. */
  readonly predecessor?: string;
  /** Text to value. @throws Error that says what it takes. */
  parse(text: string): T;
}

/** The environment variable of an option. */
export function variableOf(flag: string): string {
  return `DOCKER_NDN_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/** Whether the option is an environment variable as well. */
export function hasVariable(option: Option<unknown>): boolean {
  return !option.positional && !option.switch;
}

/** The value of a {@link Option.switch}. */
export function switchedOn(text: string): boolean {
  return text === "true";
}

/** The values of a set of options. */
export type Values<S extends Readonly<Record<string, Option<unknown>>>> = {
  readonly [K in keyof S]: S[K] extends { readonly repeatable: true }
    ? readonly ParsedBy<S[K]>[]
    : S[K] extends { readonly fallback: string } | { readonly required: true }
      ? ParsedBy<S[K]>
      : ParsedBy<S[K]> | undefined;
};
type ParsedBy<O> = O extends Option<infer T> ? T : never;

type Texts = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

/**
 * Take each option from the flag, else `DOCKER_NDN_*`, else the predecessor's variable, else its default.
 * @throws OptionError for the first value that is missing or bad.
 */
export function readOptions<S extends Readonly<Record<string, Option<unknown>>>>(
  options: S,
  flags: Texts,
  env: Readonly<Record<string, string | undefined>>,
): Values<S> {
  const entries = Object.entries(options).map(([key, option]) => [key, readOne(option, flags, env)]);
  return Object.freeze(Object.fromEntries(entries)) as Values<S>;
}

function readOne(option: Option<unknown>, flags: Texts, env: Readonly<Record<string, string | undefined>>): unknown {
  const { origin, texts } = textsOf(option, flags, env);
  if (!option.repeatable && texts.length > 1) throw new OptionError(`${origin} may be given only once`);
  if (texts.length === 0 && option.required) {
    const alternative = hasVariable(option) ? ` (or ${variableOf(option.flag)})` : "";
    throw new OptionError(`${origin} ${option.value} is required${alternative}: ${option.help}`);
  }
  const values = texts.map((text) => parseOne(option, origin, text));
  return option.repeatable ? Object.freeze(values) : values[0];
}

function textsOf(option: Option<unknown>, flags: Texts, env: Readonly<Record<string, string | undefined>>) {
  const given = [flags[option.flag] ?? []].flat().map((text) => (text === "" && option.bare) || String(text));
  const origin = option.positional ? option.flag : `--${option.flag}`;
  if (given.length > 0) return { origin, texts: given };
  for (const variable of hasVariable(option) ? [variableOf(option.flag), option.predecessor] : []) {
    const text = variable && env[variable];
    if (text) return { origin: variable, texts: option.repeatable ? splitList(text) : [text] };
  }
  const fallback = option.fallback;
  return { origin, texts: fallback === undefined ? [] : [fallback] };
}

function splitList(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function parseOne(option: Option<unknown>, origin: string, text: string): unknown {
  try {
    return option.parse(text);
  } catch (err: unknown) {
    throw new OptionError(`${origin}: ${(err as Error).message}`, { cause: err });
  }
}
