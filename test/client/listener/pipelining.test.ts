import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, test, vi } from "vitest";
import { boundPipelining, maxUnansweredRequests } from "#client/listener/listen.ts";
import { until } from "#test/support/until.ts";
import { ask, startEndpoint } from "../endpoint.ts";
import { startUpstream } from "../upstream/raw-upstream.ts";

const pathOf = (at: number) => `/v2/team/app/tags/list?last=${at}`;

/** Requests for different things, sent without waiting for an answer. */
function pipeline(url: URL, requests: number): Socket {
  const socket = connect(Number(url.port), url.hostname);
  const all = Array.from({ length: requests }, (_, at) => `GET ${pathOf(at)} HTTP/1.1\r\nHost: x\r\n\r\n`);
  socket.on("error", () => {}).write(all.join(""));
  return socket;
}

test("a connection that pipelines without end is closed, and costs the upstream no more than the bound", async () => {
  await using upstream = await startUpstream(({ url }, response) => url === pathOf(-1) && response.end("{}"));
  await using endpoint = await startEndpoint(upstream.url);
  await once(pipeline(endpoint.url, 1_000).resume(), "close");
  // What comes later is asked later: nothing of the others is still on its way.
  expect((await ask(endpoint.url, pathOf(-1))).status).toBe(200);
  expect(upstream.seen.length).toBeLessThanOrEqual(maxUnansweredRequests + 1);
  await until("what was begun to end", () =>
    upstream.seen.every(({ url, socket }) => url === pathOf(-1) || socket.destroyed),
  );
  expect(endpoint.logs).toContainEqual(
    expect.objectContaining({ msg: "connection closed: too many requests without an answer" }),
  );
});

test("as many requests as the bound are answered, in their order", async () => {
  await using upstream = await startUpstream(({ url }, response) => response.end(url));
  await using endpoint = await startEndpoint(upstream.url);
  const socket = pipeline(endpoint.url, maxUnansweredRequests);
  let text = "";
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  await until("the answers", () => text.includes(`last=${maxUnansweredRequests - 1}`));
  const answered = [...text.matchAll(/last=(\d+)/g)].map(([, at]) => Number(at));
  expect(answered).toEqual(Array.from({ length: maxUnansweredRequests }, (_, at) => at));
  socket.destroy();
});

test("a connection may have any number of requests one after another, HEAD among them", async () => {
  await using upstream = await startUpstream((_, response) => response.end("{}"));
  await using endpoint = await startEndpoint(upstream.url);
  const socket = connect(Number(endpoint.url.port), endpoint.url.hostname);
  const answers = socket.iterator({ destroyOnReturn: false });
  const answerTo = async (method: string, end: string) => {
    socket.write(`${method} ${pathOf(0)} HTTP/1.1\r\nHost: x\r\n\r\n`);
    let text = "";
    while (!text.endsWith(end)) {
      const { value, done } = await answers.next();
      if (done) throw new Error(`cut off after ${JSON.stringify(text)}`);
      text += String(value);
    }
    return text;
  };
  for (let at = 0; at < 3 * maxUnansweredRequests; at++) {
    expect(await answerTo("HEAD", "\r\n\r\n")).toMatch(/^HTTP\/1.1 200 /);
    expect(await answerTo("GET", "\r\n\r\n{}")).toMatch(/^HTTP\/1.1 200 /);
  }
  socket.destroy();
});

test("of closed connections a warning tells once a minute", () => {
  const warn = vi.fn();
  let nowMs = 0;
  const isTaken = boundPipelining({ warn }, () => nowMs);
  const closeOne = () => {
    const socket = {
      destroyed: false,
      remoteAddress: "192.0.2.1",
      destroy: () => Object.assign(socket, { destroyed: true }),
    };
    const [asked, response] = [{ socket } as never, { once: () => {} } as never];
    return Array.from({ length: maxUnansweredRequests + 2 }, () => isTaken(asked, response));
  };
  const taken = [...Array.from({ length: maxUnansweredRequests }, () => true), false, false];
  expect([closeOne(), closeOne()]).toEqual([taken, taken]);
  expect(warn).toHaveBeenCalledOnce();
  nowMs += 60_000;
  closeOne();
  expect(warn).toHaveBeenCalledTimes(2);
});
