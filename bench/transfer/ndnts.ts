/**
 * Stock NDNts at one end of a transfer: `node bench/transfer/ndnts.ts serve|fetch SOCKET NAME FILE`. It serves until it
 * is stopped.
 */
import { createWriteStream } from "node:fs";
import { Forwarder } from "@ndn/fw";
import { enableNfdPrefixReg } from "@ndn/nfdmgmt";
import { UnixTransport } from "@ndn/node-transport";
import { Name } from "@ndn/packet";
import { FileChunkSource, fetch, serve } from "@ndn/segmented-object";

const [end, socket, name, file] = process.argv.slice(2) as ["serve" | "fetch", string, string, string];
const fw = Forwarder.create();
const face = await UnixTransport.createFace({ fw, addRoutes: ["/"] }, socket);
if (end === "serve") {
  enableNfdPrefixReg(face);
  serve(new Name(name), new FileChunkSource(file, { chunkSize: 8192 }), { pOpts: { fw } });
  // The route is there once the forwarder has answered; NDNts has no event for it, so it gets a moment.
  setTimeout(() => console.log(`serving ${name}`), 500);
} else {
  await fetch(new Name(name), { cOpts: { fw } }).pipe(createWriteStream(file));
  face.close();
}
