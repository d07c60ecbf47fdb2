/**
 * Stock NDNts as a producer: `node bench/transfer/ndnts-serve.ts SOCKET NAME FILE` until it is stopped.
 */
import { Forwarder } from "@ndn/fw";
import { enableNfdPrefixReg } from "@ndn/nfdmgmt";
import { UnixTransport } from "@ndn/node-transport";
import { Name } from "@ndn/packet";
import { FileChunkSource, serve } from "@ndn/segmented-object";

const [socket, name, file] = process.argv.slice(2) as [string, string, string];
const fw = Forwarder.create();
const face = await UnixTransport.createFace({ fw, addRoutes: ["/"] }, socket);
enableNfdPrefixReg(face);
serve(new Name(name), new FileChunkSource(file, { chunkSize: 8192 }), { pOpts: { fw } });
// The route is there once the forwarder has answered; NDNts has no event for it, so it gets a moment.
setTimeout(() => console.log(`serving ${name}`), 500);
