/**
 * The client's own login at a registry, for pullers that have none.
 */
import { type CredentialSource, dockerHubLogin, passwordFile, type SourceOptions } from "#oci/credentials.ts";
import { dockerConfigLogin } from "#oci/docker-config.ts";
import { canonicalRegistry } from "#oci/reference.ts";
import type { RegistryConfig } from "./client-config.ts";

/**
 * Where the login comes from: the configuration, else for Docker Hub the environment; undefined for none.
 *
 * A login that was not written down for this very registry goes only to the host that it is for: Docker Hub's password
 * is not for a mirror of it.
 *
 * @throws Error when the environment has half a login.
 */
export function registryLogin(
  { registry, upstream, credentials }: Pick<RegistryConfig, "registry" | "credentials"> & { readonly upstream: URL },
  env: Readonly<Record<string, string | undefined>>,
  options: SourceOptions,
): CredentialSource | undefined {
  const host = canonicalRegistry(upstream.host);
  if (credentials === undefined) {
    const login = registry === "docker.io" ? dockerHubLogin(env, options) : undefined;
    if (login === undefined || host === registry) return login;
    options.warn(`DOCKERHUB_USERNAME is not used: ${host} is not Docker Hub, its login belongs into the configuration`);
    return undefined;
  }
  if (credentials.kind === "docker-config") return dockerConfigLogin(host, env, options);
  const { username } = credentials;
  if (credentials.kind === "password-file") return passwordFile(username, credentials.file, options);
  const password = env[credentials.variable] ?? "";
  return () => Promise.resolve({ username, password });
}
