/**
 * How this machine reaches registries: what its environment says of proxies, and which authorities TLS trusts.
 */
import { getCACertificates } from "node:tls";
import { readCertificates } from "#oci/certificates.ts";
import { Network } from "#oci/connections.ts";
import { type ProxyFor, proxiesOf } from "#oci/proxies.ts";
import { OptionError } from "../option.ts";

/**
 * Trusted are the authorities of Node and of the system (`SSL_CERT_FILE`, `SSL_CERT_DIR`, `NODE_EXTRA_CA_CERTS` are
 * Node's to read) and those of `caFile`.
 *
 * @param flag - The option that names `caFile`.
 * @throws OptionError
 */
export function networkOf(
  env: Readonly<Record<string, string | undefined>>,
  flag: "upstream-ca" | "registry-ca",
  caFile: string | undefined,
): Network {
  const own = caFile === undefined ? [] : authoritiesIn(flag, caFile);
  const authorities = () => [...new Set([...getCACertificates("default"), ...getCACertificates("system"), ...own])];
  return new Network({ proxyFor: proxyForIn(env), authorities });
}

function authoritiesIn(flag: string, file: string): readonly string[] {
  try {
    return readCertificates(file);
  } catch (err: unknown) {
    throw new OptionError(`--${flag}: ${(err as Error).message}`, { cause: err });
  }
}

/** In capitals or not, as Go's programs read them. */
function proxyForIn(env: Readonly<Record<string, string | undefined>>): ProxyFor {
  const read = (name: string) => env[name] || env[name.toLowerCase()];
  try {
    return proxiesOf({
      httpProxy: read("HTTP_PROXY"),
      httpsProxy: read("HTTPS_PROXY"),
      noProxy: read("NO_PROXY"),
    });
  } catch (err: unknown) {
    throw new OptionError((err as Error).message, { cause: err });
  }
}
