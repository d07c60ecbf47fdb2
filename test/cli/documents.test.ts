import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import {
  cacheAddOptions,
  cacheListOptions,
  cachePruneOptions,
  cacheRemoveOptions,
  cacheVerifyOptions,
} from "#cli/cache/options.ts";
import { clientOptions, clientSecrets } from "#cli/client-options.ts";
import { configureOptions } from "#cli/configure/options.ts";
import { keySecrets, keyShowOptions } from "#cli/key/options.ts";
import { hasVariable, type Option, variableOf } from "#cli/option.ts";
import { serverOptions, serverSecrets } from "#cli/server-options.ts";
import { startOptions } from "#cli/start-options.ts";
import { checkout } from "#test/support/programs.ts";

const secretVariables = { ...clientSecrets, ...serverSecrets, ...keySecrets };
const cacheOptions = {
  ...cacheListOptions,
  ...cacheAddOptions,
  ...cacheRemoveOptions,
  ...cacheVerifyOptions,
  ...cachePruneOptions,
};
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
const reference = readFileSync(join(checkout, "docs/options.md"), "utf8");
const documents = new Map(
  globSync(["*.md", "docs/**/*.md"], { cwd: checkout }).map((path) => [
    path,
    readFileSync(join(checkout, path), "utf8"),
  ]),
);

function rowOf(flag: string): string | undefined {
  return reference.split("\n").find((line) => line.startsWith(`| \`--${flag} `) || line.startsWith(`| \`--${flag}\``));
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
  "the table of options has --%s with its variable",
  (flag, option) => {
    const row = rowOf(flag);
    expect(row?.includes(`\`${variableOf(flag)}\``)).toBe(hasVariable(option));
    if (option.fallback !== undefined) expect(row).toContain(option.fallback);
    if (option.predecessor) expect(row).toContain(option.predecessor);
    if (option.alias) expect(row).toContain(`--${option.alias}`);
    expect(row?.includes("(repeatable)")).toBe(option.repeatable === true);
  },
);

test("the table of options says for each option which verbs have it", () => {
  for (const { flag } of options) {
    const row = rowOf(flag)!;
    const having = Object.keys(verbs).filter((verb) =>
      Object.values(verbs[verb]!).some((option) => option.flag === flag),
    );
    expect(row.replaceAll("\\|", "/").split("|")[2]!.trim()).toBe(having.join(", "));
  }
});

test("the table of options has every secret variable, and no document has an unknown one", () => {
  for (const name of Object.keys(secretVariables)) expect(reference).toContain(name);
  for (const [path, text] of documents) {
    expect([path, ...variablesIn(text).filter((name) => !known.includes(name))]).toEqual([path]);
  }
});

/** Links out of a document that stay within the checkout, as `[path, anchor]`; the path is "" within the document. */
function linksIn(text: string): [path: string, anchor: string | undefined][] {
  const prose = text.replace(/^```.*?^```/gms, "").replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .filter((match) => !/^[a-z]+:/.test(match[1]!))
    .map((match) => match[1]!.split("#") as [string, string | undefined]);
}

/** The anchors that a document's headings get on the web. */
function anchorsOf(text: string): string[] {
  return [...text.replace(/^```.*?^```/gms, "").matchAll(/^#+ (.+)$/gm)].map((match) =>
    match[1]!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

test.each([...documents.keys()])("every link in %s leads to a file and to a heading in it", (path) => {
  for (const [target, anchor] of linksIn(documents.get(path)!)) {
    const found = target === "" ? path : join(dirname(path), target);
    expect([found, existsSync(join(checkout, found))]).toEqual([found, true]);
    if (anchor !== undefined) expect([found, ...anchorsOf(documents.get(found)!)]).toContain(anchor);
  }
});

test("a heading's anchor is in lower case, without punctuation", () => {
  expect(anchorsOf("# What is published, and who `may` pull it\n\n```sh\n# no heading\n```\n## A–B: 2_c")).toEqual([
    "what-is-published-and-who-may-pull-it",
    "ab-2_c",
  ]);
});

test("source files that documents name are there", () => {
  const named =
    /`((?:base|oci|ndn|blob|store|fetch|uplinks|publish|delta|server|client|cli|test|bench|docs)\/[\w./-]*)`/g;
  for (const [path, text] of documents) {
    if (path === "CHANGELOG.md") continue; // it tells of the past
    const lost = [...text.matchAll(named)]
      .map((match) => match[1]!)
      .filter((file) => !existsSync(join(checkout, file)));
    expect([path, ...lost]).toEqual([path]);
  }
});
