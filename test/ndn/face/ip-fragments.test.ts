/** That IP never has to cut a datagram up, by what the kernel of a network namespace counts. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { testEnvironment } from "#test/support/environment.ts";
import { checkout } from "#test/support/programs.ts";
import { describeWith } from "#test/support/require-programs.ts";

const execute = promisify(execFile);
const program = join(checkout, "test/ndn/face/fetch-over-udp.ts");

/** Fetch in a namespace whose only interface carries so many bytes, with this `--mtu`. */
async function fetchThrough(interfaceMtu: number, host: string, mtu = "") {
  const script = 'mount -t sysfs sysfs /sys && ip link set lo mtu "$0" up && exec "$@"';
  const fetching = [process.execPath, program, host, ...(mtu ? [mtu] : [])];
  const args = ["-n", "-m", "sh", "-c", script, String(interfaceMtu), ...fetching];
  const { stdout } = await execute("unshare", args, { cwd: checkout, env: testEnvironment() });
  return JSON.parse(stdout) as { isRight: boolean; ipFragments: number };
}

describeWith(["root", "ip", "unshare"], "IP", () => {
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
});
