/**
 * Who says what a tag means where there is a registry over HTTPS and one over NDN: the one first and the other after it.
 */
import { RegistryUnreachable } from "#oci/errors.ts";
import type { Question, UpstreamReply } from "../upstream/upstream.ts";
import { type Ask, discard, isFailure, UpstreamSilent } from "../upstream/upstream-question.ts";

/** Asks over HTTPS, and over NDN where that fails: before what is remembered. */
export function askNdnAfter(https: Ask, ndn: Ask): Ask {
  return async (question, inItsPlace, onLate) => {
    if ("ping" in question) return https(question, inItsPlace, onLate);
    try {
      const reply = await https(question, "cache", onLate);
      const other = isFailure(reply.status) ? await answerOver(ndn, question) : undefined;
      if (other) discard(reply.body);
      return other ?? reply;
    } catch (err: unknown) {
      if (!(err instanceof RegistryUnreachable)) throw err;
      const other = await answerOver(ndn, question);
      if (other) return other;
      if (!(err instanceof UpstreamSilent) || inItsPlace === "cache") throw err;
      return https(question, inItsPlace, onLate); // it was only slow, and there is no one else
    }
  };
}

/** Asks over NDN, and over HTTPS what is not there. */
export function askNdnFirst(https: Ask, ndn: Ask): Ask {
  return async (question, inItsPlace, onLate) => {
    const isOnNdn = !("ping" in question);
    return (isOnNdn && (await answerOver(ndn, question))) || https(question, inItsPlace, onLate);
  };
}

/** Undefined when no one answers, and for a refusal: the registry itself may know the puller better. */
async function answerOver(ndn: Ask, question: Question): Promise<UpstreamReply | undefined> {
  try {
    const reply = await ndn(question, "cache");
    if (reply.status === 200 || reply.status === 304) return reply;
    discard(reply.body);
  } catch (err: unknown) {
    if (!(err instanceof RegistryUnreachable)) throw err;
  }
  return undefined;
}
