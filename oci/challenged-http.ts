/**
 * Requests in somebody's name: the registry's challenges are answered once, as far as that name allows.
 */
import { raceAbort } from "#base/waiting.ts";
import { type Auth, accessTo } from "./auth.ts";
import type { CredentialSource, Credentials } from "./credentials.ts";
import { drain, type HttpAnswer, type Question, type RegistryHttp } from "./registry-http.ts";
import { type Need, parseChallenges, type TokenAuth } from "./token-auth.ts";

export class ChallengedHttp {
  readonly #http: RegistryHttp;
  readonly #tokens: TokenAuth;
  readonly #credentials: CredentialSource;

  /** @param credentials - Never rejects. */
  constructor(http: RegistryHttp, tokens: TokenAuth, credentials: CredentialSource) {
    this.#http = http;
    this.#tokens = tokens;
    this.#credentials = credentials;
  }

  /** @throws RegistryUnreachable when the registry, or its token service, gives no answer. */
  async ask(question: Question, auth: Auth, signal: AbortSignal): Promise<HttpAnswer> {
    if (auth.kind !== "puller")
      return (await this.#askAs(question, [await this.loginFor(auth, signal)], signal)).answer;
    if (auth.value !== undefined) {
      const answer = await this.#http.ask(question, auth.value, signal);
      if (!auth.orWithout || !isRefusal(answer)) return answer;
      await drain(answer, signal);
    }
    return this.#askForPuller(question, signal);
  }

  /** The Authorization that is at hand for this path, without asking anybody. */
  async cached(
    path: string,
    auth: Exclude<Auth, { kind: "puller" }>,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    return this.#tokens.cached({ ...accessTo(path), credentials: await this.loginFor(auth, signal) });
  }

  /** The credentials that this name may use. */
  loginFor(auth: Auth, signal: AbortSignal): Promise<Credentials | undefined> {
    return auth.kind === "anonymous" ? Promise.resolve(undefined) : raceAbort(this.#credentials(), signal);
  }

  /** A login that is no longer good must not keep public images away: then it is anonymous. */
  async #askForPuller(question: Question, signal: AbortSignal): Promise<HttpAnswer> {
    const login = await this.loginFor({ kind: "login" }, signal);
    const { answer, sent } = await this.#askAs(question, login ? [login, undefined] : [undefined], signal);
    if (sent === undefined || !isRefusal(answer)) return answer;
    // What the registry says to our token ("insufficient_scope", "denied") is not what tells a puller to log in.
    await drain(answer, signal);
    return this.#http.ask(question, undefined, signal);
  }

  /** Ask with a token that is at hand, else as the challenge demands: with the first of `logins` that gets an answer. */
  async #askAs(
    question: Question,
    logins: readonly (Credentials | undefined)[],
    signal: AbortSignal,
  ): Promise<{ answer: HttpAnswer /** The Authorization. */; sent: string | undefined }> {
    const needs = logins.map((credentials) => ({ ...accessTo(question.path), credentials }));
    const first = this.#tokens.cached(needs[0]!);
    const answer = await this.#http.ask(question, first, signal);
    if (answer.statusCode !== 401 || !answer.atHome) return { answer, sent: first };
    if (first !== undefined) this.#tokens.forget(needs[0]!, first);
    try {
      const authorization = await this.#authorize(answer, needs, signal);
      if (authorization === undefined) return { answer, sent: first };
      await drain(answer, signal);
      const { value } = authorization;
      const second = await this.#http.ask(question, value, signal);
      if (second.statusCode === 401 && second.atHome) this.#tokens.forget(authorization.need, value);
      return { answer: second, sent: value };
    } catch (err: unknown) {
      answer.body.destroy();
      throw err;
    }
  }

  /** An Authorization for the first need and challenge that has one; Bearer before Basic. */
  async #authorize({ headers }: HttpAnswer, needs: readonly Need[], signal: AbortSignal) {
    const challenges = parseChallenges(headers["www-authenticate"]).sort((a, b) => b.scheme.localeCompare(a.scheme));
    for (const need of needs) {
      for (const challenge of challenges) {
        const value = await this.#tokens.authorize(challenge, need, signal);
        if (value !== undefined) return { need, value };
      }
    }
    return undefined;
  }
}

function isRefusal({ statusCode, atHome }: HttpAnswer): boolean {
  return atHome && (statusCode === 401 || statusCode === 403);
}
