/** What became of one run of a program, in a form in which two runs can be compared. */
export type Outcome =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly exitCode: number; readonly status: string };

/** Run something to its end; what fails other than by a program's exit code is thrown. */
export async function outcomeOf(act: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { ok: true, result: await act() };
  } catch (err: unknown) {
    const { code, stdout, stderr } = ((err as Error).cause ?? {}) as Partial<ProgramFailure>;
    if (typeof code !== "number") throw err; // it is the test that failed, or the program took too long
    return { ok: false, exitCode: code, status: statusIn(`${stdout}\n${stderr}`) };
  }
}

/** `ok`, or why it failed. */
export function describeOutcome(outcome: Outcome): string {
  return outcome.ok ? "ok" : outcome.status;
}

/** What `execFile` rejects with. */
interface ProgramFailure {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The HTTP status that a program complains of, in figures or in words; else all that it says. */
function statusIn(output: string): string {
  return complaints.find(([pattern]) => pattern.test(output))?.[1] ?? output.trim();
}

const complaints = [
  [
    /\b401\b|unauthorized|authentication required|no basic auth|invalid username\/password|credential not found/i,
    "401",
  ],
  [/\b403\b|denied/i, "403"],
  [/\b404\b|not found|manifest unknown/i, "404"],
] as const;
