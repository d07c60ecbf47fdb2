import { once } from "node:events";
import { createServer, get, type IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { listening } from "../listening.ts";
import { until } from "../until.ts";
import { startSendTimeoutRelay } from "./send-timeout-relay.ts";

/** More than the sockets on the way hold. */
const bytes = Buffer.alloc(64_000_000);

async function through(sendTimeoutMs: number) {
  const server = createServer((_, response) => response.end(bytes));
  const { port: targetPort, close } = await listening(server, () => server.closeAllConnections());
  const relay = await startSendTimeoutRelay({ targetPort, sendTimeoutMs });
  const [response] = (await once(get(`http://127.0.0.1:${relay.port}/`, { agent: false }), "response")) as [
    IncomingMessage,
  ];
  const stop = async () => {
    await relay[Symbol.asyncDispose]();
    await close();
  };
  return { relay, response, stop };
}

test("a connection whose client takes nothing for so long is closed", async () => {
  const { relay, response, stop } = await through(50);
  response.on("error", () => undefined); // is broken off
  await until("the cut", () => relay.counters.cut === 1);
  response.resume();
  await new Promise((resolve) => response.once("close", resolve));
  expect([response.complete, relay.counters]).toEqual([false, { connections: 1, cut: 1 }]);
  await stop();
});

test("a connection whose client reads is left alone", async () => {
  const { relay, response, stop } = await through(60_000);
  let read = 0;
  for await (const piece of response) read += (piece as Buffer).length;
  expect([read, relay.counters.cut]).toEqual([bytes.length, 0]);
  await stop();
});
