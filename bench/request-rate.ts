/**
 * How many GETs per second an endpoint answers. The asking side is bare sockets: on few cores it must cost little.
 */
import { connect, type Socket } from "node:net";

/** What is asked, again and again in turn, by each connection. */
export interface Load {
  readonly url: URL;
  readonly paths: readonly string[];
  readonly connections: number;
  readonly seconds: number;
  /** Bytes of every answer's body. */
  readonly bodyBytes: number;
}

/** Answers per second, over connections that are kept alive. @throws Error on anything but a 200 of the right size. */
export async function requestRate(load: Load): Promise<number> {
  const beganMs = performance.now();
  const untilMs = beganMs + load.seconds * 1000;
  const counts = await Promise.all(Array.from({ length: load.connections }, (_, nth) => askInTurn(load, nth, untilMs)));
  return counts.reduce((sum, count) => sum + count, 0) / ((performance.now() - beganMs) / 1000);
}

function askInTurn({ url, paths, bodyBytes }: Load, first: number, untilMs: number): Promise<number> {
  const requests = paths.map((path) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`));
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const socket = connect(Number(url.port), url.hostname);
  const ask = (count: number) => socket.write(requests[(first + count) % requests.length]!);
  socket.setNoDelay(true);
  socket.on("error", reject);
  socket.on("close", () => reject(new Error(`${url.host} has closed the connection`)));
  let count = 0;
  onAnswers(socket, bodyBytes, (err) => {
    if (err) return reject(err);
    count += 1;
    if (performance.now() < untilMs) return ask(count);
    resolve(count);
    return socket.destroy();
  });
  ask(0);
  return promise;
}

/** Calls `done` at the end of each answer. */
function onAnswers(socket: Socket, bodyBytes: number, done: (err?: Error) => void): void {
  let head = "";
  let left = 0;
  socket.on("data", (piece) => {
    if (left > 0) {
      left -= piece.length;
    } else {
      head += piece.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const isRight =
        head.startsWith("HTTP/1.1 200") && head.toLowerCase().includes(`\r\ncontent-length: ${bodyBytes}\r\n`);
      if (!isRight) return done(new Error(`not a blob of ${bodyBytes} bytes: ${head.slice(0, end)}`));
      left = bodyBytes - (head.length - end - 4);
      head = "";
    }
    if (left === 0) done();
  });
}
