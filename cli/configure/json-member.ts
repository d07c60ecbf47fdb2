/**
 * Strings in an array that is a member of a JSON object, put in and taken out by cutting the text: whatever else
 * stands there keeps its order, its indentation and its spelling.
 */

/** Half-open range of characters. */
interface Span {
  readonly start: number;
  readonly end: number;
}

interface Member extends Span {
  readonly key: string;
  readonly value: Span;
}

/** Have `item` first in the array `key`, which is made when it is missing. `text` is a valid JSON object. */
export function addToArray(text: string, key: string, item: string): string {
  const members = membersOf(text);
  const member = members.findLast((each) => each.key === key);
  if (member === undefined) return addMember(text, members, `${JSON.stringify(key)}: [${JSON.stringify(item)}]`);
  const first = partsOf(text, member.value)[0];
  if (first === undefined) return splice(text, member.value, `[${JSON.stringify(item)}]`);
  const gap = text.slice(member.value.start + 1, first.start);
  const separator = gap.includes("\n") ? gap : " ";
  return splice(text, { start: first.start, end: first.start }, `${JSON.stringify(item)},${separator}`);
}

/** Take the elements that match out of the array `key`, and the whole member when nothing is left in it. */
export function removeFromArray(text: string, key: string, matches: (item: unknown) => boolean): string {
  const members = membersOf(text);
  const at = members.findLastIndex((each) => each.key === key);
  if (at < 0) return text;
  const elements = partsOf(text, members[at]!.value);
  const found = elements.map((span) => matches(JSON.parse(text.slice(span.start, span.end))));
  if (!found.includes(true)) return text;
  if (!found.includes(false)) return removeOne(text, members, at);
  const rest = removeOne(text, elements, found.indexOf(true));
  return removeFromArray(rest, key, matches);
}

function addMember(text: string, members: readonly Member[], member: string): string {
  const last = members.at(-1);
  if (last === undefined) {
    const open = text.indexOf("{");
    return splice(text, { start: open, end: text.lastIndexOf("}") + 1 }, `{\n  ${member}\n}`);
  }
  const before = members.at(-2)?.end ?? text.indexOf("{");
  const gap = /\s*$/.exec(text.slice(before, last.start))![0];
  return splice(text, { start: last.end, end: last.end }, `,${gap || " "}${member}`);
}

/** Without one of several, its comma, and the space that set it apart. */
function removeOne(text: string, spans: readonly Span[], at: number): string {
  const { start, end } = spans[at]!;
  const [before, after] = [spans[at - 1], spans[at + 1]];
  if (after) return splice(text, { start, end: after.start }, "");
  if (before) return splice(text, { start: before.end, end }, "");
  const [left, right] = [text.slice(0, start).trimEnd(), text.slice(end).trimStart()];
  return left + right;
}

function splice(text: string, { start, end }: Span, replacement: string): string {
  return text.slice(0, start) + replacement + text.slice(end);
}

/** Members of the outermost object. */
function membersOf(text: string): Member[] {
  const spans = partsOf(text, { start: text.indexOf("{"), end: text.lastIndexOf("}") + 1 });
  return spans.map(({ start, end }) => {
    const [key] = /^"(?:[^"\\]|\\.)*"/.exec(text.slice(start, end))!;
    const colon = start + key.length + text.slice(start + key.length).indexOf(":");
    const value = colon + 1 + /^\s*/.exec(text.slice(colon + 1))![0].length;
    return { key: JSON.parse(key) as string, start, end, value: { start: value, end } };
  });
}

/** What stands between the commas of an object or array, without the space around; `whole` includes the brackets. */
function partsOf(text: string, whole: Span): Span[] {
  const inside = text.slice(whole.start, whole.end);
  const commas = [0];
  let depth = 0;
  for (const token of inside.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},]/g)) {
    if (token[0] === "[" || token[0] === "{") depth++;
    if (token[0] === "]" || token[0] === "}") depth--;
    if ((token[0] === "," && depth === 1) || depth === 0) commas.push(token.index);
  }
  return commas.slice(1).flatMap((comma, i) => {
    const part = inside.slice(commas[i]! + 1, comma);
    const start = whole.start + commas[i]! + 1 + (part.length - part.trimStart().length);
    return part.trim() === "" ? [] : [{ start, end: start + part.trim().length }];
  });
}
