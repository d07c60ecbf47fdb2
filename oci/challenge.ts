/**
 * `WWW-Authenticate`: how a registry says which login it wants (RFC 9110 § 11.6.1).
 */

/** One challenge that can be answered; parameter names in lower case, such as `realm`, `service` and `scope`. */
export interface Challenge {
  scheme: "bearer" | "basic";
  parameters: Record<string, string>;
}

// Either `name = value`, or a scheme with perhaps a token68 that belongs to it.
const parameter = /([!#$%&'*+.^_`|~\w-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s",=]+)(?=[ \t]*(?:,|$)))/y;
const scheme = /([!#$%&'*+.^_`|~\w-]+)(?=[ \t,]|$)(?:[ \t]+[\w.~+/-]+=*(?=[ \t]*(?:,|$)))?/y;
const separator = /[ \t,]+/y;

/** The Bearer and Basic challenges, in the registry's order; others, and what is no challenge at all, are skipped. */
export function parseChallenges(header: string | string[] | undefined): Challenge[] {
  return [header ?? []].flat().flatMap((line) => parseLine(line));
}

function parseLine(line: string): Challenge[] {
  const found: { scheme: string; parameters: Record<string, string> }[] = [];
  const take = taker(line);
  while (true) {
    if (take(separator)) continue;
    const pair = take(parameter);
    const name = pair ? undefined : take(scheme)?.[1];
    if (pair) setParameter(found.at(-1)?.parameters ?? {}, pair);
    else if (name !== undefined) found.push({ scheme: name.toLowerCase(), parameters: emptyParameters() });
    else return found.filter((challenge) => isAnswerable(challenge));
  }
}

/** Takes what a sticky pattern matches off the front of `line`; null when it does not match there. */
function taker(line: string): (pattern: RegExp) => RegExpExecArray | null {
  let at = 0;
  return (pattern) => {
    pattern.lastIndex = at;
    const match = pattern.exec(line);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
}

function setParameter(parameters: Record<string, string>, [, name = "", quoted, token]: RegExpExecArray): void {
  parameters[name.toLowerCase()] = token ?? (quoted ?? "").replace(/\\(.)/g, "$1");
}

// Without a prototype: the names come from a stranger.
function emptyParameters(): Record<string, string> {
  return Object.create(null) as Record<string, string>;
}

function isAnswerable(challenge: { scheme: string; parameters: Record<string, string> }): challenge is Challenge {
  return challenge.scheme === "bearer" || challenge.scheme === "basic";
}
