import { parseChallenges } from "#oci/challenge.ts";
import { ask } from "./endpoint.ts";

/** What a registry asks for. */
export type AuthKind = "bearer" | "basic";

const login = `Basic ${Buffer.from("reader:secret").toString("base64")}`;

/** The Authorization of the user `reader` for reading `path`: with Bearer a new token for each call. */
export async function authorizationFor(registry: URL, path: string, kind: AuthKind): Promise<string> {
  if (kind === "basic") return login;
  const challenge = (await ask(registry, path)).headers["www-authenticate"]!;
  const { realm, service, scope } = parseChallenges(challenge)[0]!.parameters;
  const url = `${realm}?${new URLSearchParams({ service: service!, scope: scope! }).toString()}`;
  const answer = (await (await fetch(url, { headers: { authorization: login } })).json()) as { token: string };
  return `Bearer ${answer.token}`;
}

/** The Authorization of somebody whom the registry does not know. */
export function wrongAuthorization(kind: AuthKind): string {
  return kind === "basic" ? `Basic ${Buffer.from("reader:wrong").toString("base64")}` : "Bearer stolen";
}
