/**
 * What is wrong with a configuration, and where: one line for each mistake.
 */
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, type LineCounter, type Node } from "yaml";
import type { z } from "zod";
import { nearestWord } from "#base/nearest-word.ts";
import { knownKeys } from "./config-schema.ts";

/** A configuration that cannot be used; the message has a line for each mistake, `FILE:LINE:COL: …`. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** One mistake, and the keys that lead to it. */
export interface Mistake {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** The last key is wrong, not its value. @defaultValue false */
  readonly isAtKey?: boolean;
}

const maxMistakes = 10;

/** The error that reports these lines, at most 10 of them. */
export function configError(lines: readonly string[]): ConfigError {
  const rest = lines.length - maxMistakes;
  const more = rest > 0 ? [`and ${rest} more`] : [];
  return new ConfigError([...lines.slice(0, maxMistakes), ...more].join("\n"));
}

/** `FILE:LINE:COL: registries.docker.io.upstream: …`, in the order of the file. */
export function describeMistakes(
  file: string,
  document: Document,
  lines: LineCounter,
  mistakes: readonly Mistake[],
): string[] {
  return mistakes
    .map((mistake) => ({ mistake, offset: offsetOf(document, mistake) }))
    .sort((a, b) => a.offset - b.offset)
    .map(({ mistake: { path, message }, offset }) => {
      const subject = path.length > 0 ? `${path.map((key) => printable(String(key))).join(".")}: ` : "";
      return `${placeOf(file, lines, offset)}: ${subject}${message}`;
    });
}

/** `FILE:LINE:COL` of an offset in the text. */
export function placeOf(file: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${file}:${line}:${col}`;
}

/** What zod has found, in our words. */
export function mistakesOf({ issues }: z.ZodError): Mistake[] {
  return issues.flatMap((issue) => mistakesOfIssue(issue, []));
}

function mistakesOfIssue(issue: z.core.$ZodIssue, above: readonly PropertyKey[]): Mistake[] {
  const path = [...above, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(path, key), isAtKey: true }));
  }
  if (issue.code === "invalid_key") {
    return issue.issues.map(({ message }) => ({ path, message, isAtKey: true }));
  }
  if (issue.code === "invalid_union") {
    // The alternative that fits the kind of value says what is wrong with it.
    const fitting = issue.errors.find((issues) =>
      issues.every(
        (inner) => inner.path.length > 0 || (inner.code !== "invalid_type" && inner.code !== "invalid_value"),
      ),
    );
    if (fitting) return fitting.flatMap((inner) => mistakesOfIssue(inner, path));
  }
  return [{ path, message: issue.code === "invalid_type" ? wrongType(issue) : issue.message }];
}

function unknownKey(path: readonly PropertyKey[], key: string): string {
  if (/^(?:password|token|secret)$/i.test(key))
    return "no secret belongs into this file: use passwordFile or passwordEnv";
  const nearest = nearestWord(key, knownKeys(path));
  const hint = nearest ? `did you mean ${nearest}?` : `known are ${knownKeys(path).join(", ")}`;
  return `there is no such key; ${hint}`;
}

function wrongType({ expected, input, message }: z.core.$ZodIssueInvalidType): string {
  if (!message.startsWith("Invalid input")) return message;
  return input === undefined ? "this is missing" : `a ${expected === "object" ? "map" : expected} is needed`;
}

/** Where the value lies, or its key, or the nearest thing around them. */
function offsetOf(document: Document, { path, isAtKey }: Mistake): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, key] of path.entries()) {
    const { key: keyNode, value } = entryOf(resolved(node, document), key);
    if (keyNode === undefined && value === undefined) return offset;
    const isLast = depth === path.length - 1;
    offset = (isLast && isAtKey ? startOf(keyNode) : (startOf(value) ?? startOf(keyNode))) ?? offset;
    node = value;
  }
  return offset;
}

function entryOf(node: unknown, key: PropertyKey): { key?: unknown; value?: unknown } {
  if (isSeq(node)) return { value: node.items[Number(key)] };
  if (!isMap(node)) return {};
  return node.items.find((item) => String(isScalar(item.key) ? item.key.value : item.key) === String(key)) ?? {};
}

function resolved(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? (node as Node).range?.[0] : undefined;
}

// A key may be anything that YAML can write, line breaks included.
function printable(key: string): string {
  return /^[\x20-\x7e]{1,80}$/.test(key) ? key : JSON.stringify(key.slice(0, 80));
}
