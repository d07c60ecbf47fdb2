/**
 * The health check of the client's container: exits 0 when the endpoint answers `/healthz` at the first address of
 * `DOCKER_NDN_LISTEN`, with TLS if `DOCKER_NDN_TLS_CERT` is set. It asks over loopback only and tells no one anything, so the certificate, which
 * is for the name that pullers use, is not verified.
 */
import { get as getPlain } from "node:http";
import { get as getWithTls } from "node:https";
import { listenAddress } from "./parsers.ts";

/** Less than Docker's own `--timeout`. */
const patienceMs = 4_000;

const [first = ""] = (process.env.DOCKER_NDN_LISTEN || "127.0.0.1:5000").split(",");
const address = listenAddress(first.trim());
const where = {
  ...("path" in address
    ? { socketPath: address.path }
    : { host: address.host === "::1" ? address.host : "127.0.0.1", port: address.port }),
  path: "/healthz",
  signal: AbortSignal.timeout(patienceMs),
  agent: false as const,
};
const asking = process.env.DOCKER_NDN_TLS_CERT ? getWithTls({ ...where, rejectUnauthorized: false }) : getPlain(where);
asking.on("response", ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1));
asking.on("error", ({ message }) => {
  process.stderr.write(`${message}\n`);
  process.exit(1);
});
