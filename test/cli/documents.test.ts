import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cacheListOptions, cachePruneOptions, cacheRemoveOptions, cacheVerifyOptions } from "#cli/cache/options.ts";
import { configureOptions } from "#cli/configure/options.ts";
import { keyShowOptions } from "#cli/key/options.ts";
import { hasVariable, type Option, variableOf } from "#cli/option.ts";
import { clientOptions, secretVariables, serverOptions, startOptions } from "#cli/option-table.ts";
import { checkout } from "#test/support/programs.ts";

const cacheOptions = { ...cacheListOptions, ...cacheRemoveOptions, ...cacheVerifyOptions, ...cachePruneOptions };
const verbs: Readonly<Record<string, Readonly<Record<string, Option<unknown>>>>> = {
  server: serverOptions,
  client: clientOptions,
  start: startOptions,
  configure: configureOptions,
  cache: cacheOptions,
  key: keyShowOptions, // docs/trust has the others
};
const options = [
  ...new Map(
    Object.values(verbs)
      .flatMap((table) => Object.values(table))
      .filter(({ positional }) => !positional)
      .map((option) => [option.flag, option]),
  ).values(),
];
const withVariable = options.filter(hasVariable);
const known = [...withVariable.map(({ flag }) => variableOf(flag)), ...Object.keys(secretVariables)];
const sample = readFileSync(join(checkout, "sample.env"), "utf8");
const readme = readFileSync(join(checkout, "README.md"), "utf8");

function rowOf(flag: string): string | undefined {
  return readme.split("\n").find((line) => line.startsWith(`| \`--${flag} `) || line.startsWith(`| \`--${flag}\``));
}

function variablesIn(text: string): string[] {
  return [...new Set(text.match(/\bDOCKER_NDN_[A-Z_]*[A-Z]\b/g))];
}

test("sample.env has every option and secret once, as a line that can be uncommented, and nothing else", () => {
  const lines = [...sample.matchAll(/^#(DOCKER(?:_NDN|HUB)_[A-Z_]+)=/gm)].map((match) => match[1]!);
  expect(lines.toSorted()).toEqual(known.toSorted());
  expect(variablesIn(sample).filter((name) => !known.includes(name))).toEqual([]);
});

test("sample.env shows the defaults, and changes nothing when it is used as it is", () => {
  expect(sample.split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual([]);
  for (const { flag, fallback } of options) {
    if (fallback !== undefined) expect(sample).toContain(`#${variableOf(flag)}=${fallback}\n`);
  }
});

test.each(options.map((option) => [option.flag, option] as const))(
  "the README has --%s with its variable",
  (flag, option) => {
    const row = rowOf(flag);
    expect(row?.includes(`\`${variableOf(flag)}\``)).toBe(hasVariable(option));
    if (option.fallback !== undefined) expect(row).toContain(option.fallback);
    if (option.predecessor) expect(row).toContain(option.predecessor);
    if (option.alias) expect(row).toContain(`--${option.alias}`);
    expect(row?.includes("(repeatable)")).toBe(option.repeatable === true);
  },
);

test("the README says for each option which verbs have it", () => {
  for (const { flag } of options) {
    const row = rowOf(flag)!;
    const having = Object.keys(verbs).filter((verb) =>
      Object.values(verbs[verb]!).some((option) => option.flag === flag),
    );
    expect(row.replaceAll("\\|", "/").split("|")[2]!.trim()).toBe(having.join(", "));
  }
});

test("the README has every secret variable and no unknown one", () => {
  for (const name of Object.keys(secretVariables)) expect(readme).toContain(name);
  expect(variablesIn(readme).filter((name) => !known.includes(name))).toEqual([]);
});
