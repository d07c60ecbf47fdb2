/**
 * Requests to one registry in a puller's or the client's name: the registry's challenges are answered.
 */
import { raceAbort } from "#base/waiting.ts";
import { type Auth, accessTo, type Need, type TokenAuth } from "./auth.ts";
import { parseChallenges } from "./challenge.ts";
import type { CredentialSource, Credentials } from "./credentials.ts";
import { HelpFailed, RegistryUnreachable } from "./errors.ts";
import { drain, type HttpAnswer, type HttpRequest, isRefusal, type RegistryHttp, readAnswer } from "./registry-http.ts";

/** Requests in a puller's or the client's name: the registry's challenges are answered once, as far as that name allows. */
export class ChallengedHttp {
  readonly #http: RegistryHttp;
  readonly #tokens: TokenAuth;
  readonly #credentials: CredentialSource | undefined;

  /** @param credentials - Never rejects. */
  constructor(http: RegistryHttp, tokens: TokenAuth, credentials: CredentialSource | undefined) {
    this.#http = http;
    this.#tokens = tokens;
    this.#credentials = credentials;
  }

  /** @throws RegistryUnreachable when the registry gives no answer; HelpFailed when only its token service does not. */
  async ask(request: HttpRequest, auth: Auth, signal: AbortSignal): Promise<HttpAnswer> {
    if (auth.kind === "puller" && auth.value !== undefined) {
      const answer = await this.#http.ask(request, auth.value, signal);
      if (!auth.orWithout || !isRefusal(answer)) return answer;
      await drain(answer, signal);
    }
    const isForPuller = auth.kind === "puller";
    const login = await this.loginFor(auth, signal);
    // A login that is no longer good must not keep public images away from a puller: then it is anonymous.
    const logins = login && isForPuller ? [login, undefined] : [login];
    const { answer, sent } = await this.#askAs(request, auth, logins, signal);
    if (!isForPuller || sent === undefined || !isRefusal(answer)) return answer;
    // What the registry says to our token ("insufficient_scope", "denied") is not what tells a puller to log in.
    await drain(answer, signal);
    return this.#http.ask(request, undefined, signal);
  }

  /** The Authorization that is at hand for this path, without asking the registry. */
  async cached(
    path: string,
    auth: Exclude<Auth, { kind: "puller" }>,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    return this.#tokens.cachedFor(path, await this.loginFor(auth, signal));
  }

  /** The credentials that this name may use. */
  async loginFor(auth: Auth, signal: AbortSignal): Promise<Credentials | undefined> {
    if (auth.kind === "anonymous" || this.#credentials === undefined) return undefined;
    return raceAbort(this.#credentials(), signal);
  }

  /** Ask with a token that is at hand, else as the challenge demands: with the first of `logins` that gets an answer. */
  async #askAs(
    request: HttpRequest,
    auth: Auth,
    logins: readonly (Credentials | undefined)[],
    signal: AbortSignal,
  ): Promise<{ answer: HttpAnswer /** The Authorization. */; sent: string | undefined }> {
    const first = this.#tokens.cachedFor(request.path, logins[0]);
    const answer = await this.#http.ask(request, first, signal);
    if (answer.statusCode !== 401 || !answer.atHome) return { answer, sent: first };
    const needs = logins.map((credentials) => ({ ...accessTo(request.path), credentials }));
    if (first !== undefined) this.#tokens.forget(needs[0]!, first);
    try {
      const authorization = await this.#authorize(answer, auth, needs, signal);
      if (authorization === undefined) return { answer, sent: first };
      await drain(answer, signal);
      const { value } = authorization;
      const second = await this.#http.ask(request, value, signal);
      if (second.statusCode === 401 && second.atHome) this.#tokens.forget(authorization.need, value);
      return { answer: second, sent: value };
    } catch (err: unknown) {
      answer.body.destroy();
      throw err;
    }
  }

  /**
   * An Authorization for the first need and challenge that has one; Bearer before Basic.
   *
   * @throws HelpFailed when there might have been one.
   */
  async #authorize(answer: HttpAnswer, auth: Auth, needs: readonly Need[], signal: AbortSignal) {
    const { headers, from } = answer;
    const asked = from.origin + from.path;
    const challenges = parseChallenges(headers["www-authenticate"]).sort((a, b) => b.scheme.localeCompare(a.scheme));
    let failure: RegistryUnreachable | undefined;
    for (const need of needs) {
      for (const challenge of challenges) {
        try {
          // A puller takes no relative realm from a registry: without a login of ours the 401 is as good as it was.
          const isForPuller = auth.kind === "puller" && need.credentials === undefined;
          const value = await this.#tokens.authorize(challenge, need, isForPuller ? undefined : asked, signal);
          if (value !== undefined) return { need, value };
        } catch (err: unknown) {
          if (!(err instanceof RegistryUnreachable)) throw err;
          failure ??= err;
        }
      }
    }
    if (failure) throw new HelpFailed(failure, await readAnswer(answer));
    return undefined;
  }
}
