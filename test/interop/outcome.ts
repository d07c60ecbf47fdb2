/** What became of one run of a program, in a form in which two runs can be compared. */
export type Outcome =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly exitCode: number; readonly says: string };

/**
 * Run something to its end.
 *
 * @param names - What is called differently in each run, such as the registry's address, and what to call it instead.
 */
export async function outcomeOf(
  run: () => Promise<unknown>,
  names: Readonly<Record<string, string>>,
): Promise<Outcome> {
  try {
    return { ok: true, result: await run() };
  } catch (err: unknown) {
    const { code, stdout, stderr } = ((err as Error).cause ?? {}) as Partial<ProgramFailure>;
    if (typeof code !== "number") throw err; // it is the test that failed, or the program took too long
    return { ok: false, exitCode: code, says: complaintOf(`${stdout}\n${stderr}`, names) };
  }
}

/** `ok`, or the HTTP status that a program complains of, or the end of what it says. */
export function describeOutcome(outcome: Outcome): string {
  if (outcome.ok) return "ok";
  const { says } = outcome;
  if (refused.test(says)) return "401";
  if (absent.test(says)) return "404";
  return says.slice(-60);
}

const refused =
  /\b401\b|unauthorized|authentication required|no basic auth credentials|invalid username\/password|basic credential not found/i;
const absent = /\b404\b|not found|manifest unknown/i;

/** What `execFile` rejects with. */
interface ProgramFailure {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The last line that tells of an error, without what differs from run to run. */
function complaintOf(output: string, names: Readonly<Record<string, string>>): string {
  const lines = output.trim().split("\n");
  const line = lines.findLast((text) => /error|fatal|^ctr:/i.test(text)) ?? lines.at(-1)!;
  const lasting = line.replaceAll(/time="[^"]+"/g, "TIME").replaceAll(/sha256:[0-9a-f]{64}/g, "DIGEST"); // of several blobs any may be refused first
  return Object.entries(names).reduce((text, [name, instead]) => text.replaceAll(name, instead), lasting);
}
