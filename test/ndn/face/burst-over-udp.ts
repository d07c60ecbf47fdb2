/**
 * A process of its own, for a network namespace: sends 300 packets of 8 KB in one turn to a listener in the same process,
 * and prints how many came whole, and how many datagrams waited for the kernel at most.
 */
import { Socket } from "node:dgram";
import { acceptFaces } from "#ndn/face/accept-faces.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { generic, joinName } from "#ndn/packet/name.ts";
import { TT, tlv } from "#ndn/packet/tlv.ts";
import { until } from "#test/support/until.ts";
import { up } from "../objects.ts";

const packets = Array.from({ length: 300 }, (_, n) =>
  tlv(TT.Data, tlv(TT.Name, joinName(generic(String(n)))), tlv(TT.Content, Buffer.alloc(8_000, n))),
);
const arrived = new Set<string>();
const listener = await acceptFaces(parseFaceUrl("udp://127.0.0.1:0"), [
  { accept: ({ buf, start, end }) => arrived.add(buf.toString("latin1", start, end)) !== undefined },
]);
const uplink = new SocketUplink(parseFaceUrl(`udp://127.0.0.1:${listener.port}`));
uplink.open();
const face = await up(uplink);

let mostWaiting = 0;
const count = Reflect.get(Socket.prototype, "getSendQueueCount") as (this: Socket) => number;
Socket.prototype.getSendQueueCount = function () {
  const waiting = count.call(this);
  mostWaiting = Math.max(mostWaiting, waiting);
  return waiting;
};
for (const packet of packets) face.send(packet);
await until("all packets", () => arrived.size === packets.length).catch(() => undefined);
const whole = packets.filter((packet) => arrived.has(packet.toString("latin1"))).length;
console.log(JSON.stringify({ whole, mostWaiting }));
uplink.close();
await listener.close();
