import { describe, test } from "vitest";
import { missingPrograms } from "./programs.ts";

/**
 * Tests that need real programs. Where one is missing they are skipped and their title says what is missing;
 * with `CI=true` that is a failure, so that nobody takes a skipped test for a passed one.
 *
 * @param programs - Names of executables; `root` stands for running as root.
 */
export function describeWith(programs: readonly string[], title: string, body: () => void): void {
  const missing = missingPrograms(programs);
  const reason = missing.length === 0 ? title : `${title} (missing: ${missing.join(", ")})`;
  if (missing.length > 0 && process.env.CI === "true") {
    test(reason, () => {
      throw new Error(`not installed: ${missing.join(", ")}`);
    });
  } else {
    describe.skipIf(missing.length > 0)(reason, body);
  }
}
