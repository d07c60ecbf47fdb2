/** That IP never has to cut a datagram up, by what the kernel of a network namespace counts. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { testEnvironment } from "#test/support/environment.ts";
import { checkout } from "#test/support/programs.ts";
import { describeWith } from "#test/support/require-programs.ts";

interface FetchReport {
  readonly isRight: boolean;
  readonly ipFragments: number;
}

const execute = promisify(execFile);

/** Run a program in a namespace whose only interface is set up by a script; what it prints. */
async function runBehind(setUp: string, program: string, ...args: readonly string[]): Promise<unknown> {
  const script = `mount -t sysfs sysfs /sys && ${setUp} && exec "$0" "$@"`;
  const path = join(checkout, "test/ndn/face", program);
  const inNamespace = ["-n", "-m", "sh", "-c", script, process.execPath, path, ...args];
  return JSON.parse((await execute("unshare", inNamespace, { cwd: checkout, env: testEnvironment() })).stdout);
}

/** Fetch where the interface carries so many bytes, with this `--mtu`. */
function fetchThrough(interfaceMtu: number, host: string, ...mtu: readonly string[]) {
  return runBehind(`ip link set lo mtu ${interfaceMtu} up`, "fetch-over-udp.ts", host, ...mtu) as Promise<FetchReport>;
}

describeWith(["root", "ip", "tc", "unshare"], "IP", () => {
  test.each([
    [1500, "127.0.0.1"],
    [1500, "[::1]"],
    [1280, "127.0.0.1"],
    [1280, "[::1]"],
  ])("with interfaces of %i bytes nothing over %s is cut up", async (interfaceMtu, host) => {
    expect(await fetchThrough(interfaceMtu, host)).toMatchObject({ isRight: true, ipFragments: 0 });
  });

  test("--mtu goes before what an interface says, which the kernel's counters show", async () => {
    expect(await fetchThrough(1500, "127.0.0.1", "1200")).toMatchObject({ isRight: true, ipFragments: 0 });
    const { isRight, ipFragments } = await fetchThrough(1280, "127.0.0.1", "1400");
    expect(isRight).toBe(true);
    expect(ipFragments).toBeGreaterThan(0);
  });

  test("an interface that is slower than the sender loses nothing of it", async () => {
    const slow = "ip link set lo mtu 1500 up && tc qdisc add dev lo root tbf rate 200mbit burst 32kb limit 8mb";
    const report = (await runBehind(slow, "burst-over-udp.ts")) as { whole: number; mostWaiting: number };
    expect(report.whole).toBe(300);
    expect(report.mostWaiting).toBeGreaterThan(100);
  });
});
