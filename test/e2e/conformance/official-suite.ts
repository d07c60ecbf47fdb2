/**
 * The OCI conformance suite itself, by hand: straight at docker-registry and through the endpoint, each with an empty
 * registry. docker-registry fails some of its cases; what counts is that no other case fails through the endpoint.
 *
 *     git clone https://github.com/opencontainers/distribution-spec
 *     (cd distribution-spec/conformance && go build -o conformance .)     # up to v1.1.1: go test -c -o conformance .
 *     node test/e2e/conformance/official-suite.ts distribution-spec/conformance/conformance
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { testEnvironment } from "#test/support/environment.ts";
import { startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import { startBothHalves } from "#test/support/running-program.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";

/** How the cases of each name ended, in alphabetical order: their own order is not the same in every run. */
type Outcomes = ReadonlyMap<string, readonly string[]>;

const [suite, ...ourArgs] = process.argv.slice(2);
if (suite === undefined) throw new Error("usage: official-suite.ts SUITE [option of ndn-registry start …]");
await using things = new AsyncDisposableStack();
const folder = things.use(await makeTemporaryFolder()).path;
const registries = await Promise.all(
  ["straight", "behind"].map(async (name) => {
    await mkdir(join(folder, name));
    return things.use(await startDockerRegistry({ folder: join(folder, name) }));
  }),
);
const args = ["--upstream", registries[1]!.url, ...ourArgs];
const program = things.use(await startBothHalves({ folder, args }));

const straight = await outcomesAt(registries[0]!.host, join(folder, "straight"));
const through = await outcomesAt(program.host, join(folder, "through"));
for (const [name, outcomes] of Object.entries({ straight, through })) console.log(name, summaryOf(outcomes));
const names = [...new Set([...straight.keys(), ...through.keys()])];
const sides = names.map((name) => ({ name, is: [straight, through].map((of) => of.get(name)?.join(" ") ?? "absent") }));
const different = sides.filter(({ is }) => is[0] !== is[1]);
for (const { name, is } of different) console.log(`${name}: straight ${is[0]}; through ${is[1]}`);
const failures = (outcomes: string) => outcomes.match(/fail|absent/g)?.length ?? 0;
const isWorse = different.some(({ is }) => failures(is[1]!) > failures(is[0]!));
if (straight.size === 0 || isWorse) process.exitCode = 1;

/** Both the variables of the present suite and those of its first editions. */
async function outcomesAt(host: string, results: string): Promise<Outcomes> {
  await mkdir(results, { recursive: true });
  const first = { OCI_ROOT_URL: `http://${host}`, OCI_NAMESPACE: "suite/one", OCI_CROSSMOUNT_NAMESPACE: "suite/two" };
  const tests = {
    OCI_TEST_PULL: "1",
    OCI_TEST_PUSH: "1",
    OCI_TEST_CONTENT_DISCOVERY: "1",
    OCI_TEST_CONTENT_MANAGEMENT: "1",
  };
  const present = { OCI_REGISTRY: host, OCI_TLS: "disabled", OCI_REPO1: "suite/one", OCI_REPO2: "suite/two" };
  const reports = { OCI_REPORT_DIR: results, OCI_RESULTS_DIR: results };
  const env = testEnvironment({ ...first, ...tests, ...present, ...reports });
  const run = spawn(resolve(suite!), [], { cwd: results, env, stdio: ["ignore", "pipe", "pipe"] });
  const log = createWriteStream(join(results, "log"));
  run.stdout.pipe(log);
  run.stderr.pipe(log);
  await once(run, "close");
  return outcomesIn(await readFile(join(results, "junit.xml"), "utf8"));
}

function outcomesIn(junit: string): Outcomes {
  const outcomes = new Map<string, string[]>();
  for (const [, attributes = ""] of junit.matchAll(/<testcase ([^>]*)>/g)) {
    const [name, status] = ["name", "status"].map((of) => new RegExp(`\\b${of}="([^"]*)"`).exec(attributes)?.[1] ?? "");
    outcomes.set(name!, [...(outcomes.get(name!) ?? []), status!].toSorted());
  }
  return outcomes;
}

function summaryOf(outcomes: Outcomes): string {
  const all = [...outcomes.values()].flat();
  return [...new Set(all)].map((status) => `${all.filter((is) => is === status).length} ${status}`).join(", ");
}
