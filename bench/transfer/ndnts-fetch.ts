/**
 * Stock NDNts as a consumer: `node bench/transfer/ndnts-fetch.ts SOCKET NAME FILE`.
 */
import { createWriteStream } from "node:fs";
import { Forwarder } from "@ndn/fw";
import { UnixTransport } from "@ndn/node-transport";
import { Name } from "@ndn/packet";
import { fetch } from "@ndn/segmented-object";

const [socket, name, file] = process.argv.slice(2) as [string, string, string];
const fw = Forwarder.create();
const face = await UnixTransport.createFace({ fw, addRoutes: ["/"] }, socket);
await fetch(new Name(name), { cOpts: { fw } }).pipe(createWriteStream(file));
face.close();
