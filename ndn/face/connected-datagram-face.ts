/**
 * Opens a face over UDP to one peer. There is no connection: that no one listens is known only when the peer's machine
 * says so (ICMP port unreachable).
 */
import { lookup } from "node:dns/promises";
import { raceAbort } from "#base/waiting.ts";
import { DatagramFace } from "./datagram-face.ts";
import type { PacketHandler } from "./face.ts";
import { Reassembler } from "./reassembler.ts";
import type { OnFaceClose } from "./stream-face.ts";
import { UdpSocket } from "./udp-socket.ts";

/** An LpPacket without anything in it, which every forwarder drops. */
const idle = Buffer.of(0x64, 0);
/** Routers on the way forget who speaks to whom, the first of them after 30 s. */
const keepAliveMs = 15_000;

/** Where to, and how. */
export interface DatagramPeer {
  readonly host: string;
  readonly port: number;
  readonly mtu: number;
  readonly describe: string;
  readonly isLocal: boolean;
}

/**
 * Open a face to `peer`.
 *
 * The datagram without content that is sent first has a forwarder make its face before Interests come in a bunch: ndnd
 * loses those that come before.
 *
 * @param refusalMs - How long the peer's machine has to say that no one listens.
 * @param onClose - Called once for a face that was returned.
 * @throws Error when the host has no address or no route leads to it, or no one listens.
 */
export async function connectDatagramFace(
  peer: DatagramPeer,
  handlers: readonly PacketHandler[],
  onClose: OnFaceClose,
  refusalMs: number,
  signal: AbortSignal,
): Promise<DatagramFace> {
  const { address, family } = await lookup(peer.host);
  const socket = await UdpSocket.connect({ address, port: peer.port }, family);
  try {
    await raceAbort(notRefused(socket, refusalMs), signal);
  } catch (err: unknown) {
    socket.close();
    throw err;
  }
  return faceOn(socket, peer, handlers, onClose);
}

/** @throws Error when no one listens. */
function notRefused(socket: UdpSocket, ms: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  socket.onError(reject);
  socket.send(idle, 0, idle.length);
  return promise.finally(() => clearTimeout(timer));
}

function faceOn(socket: UdpSocket, peer: DatagramPeer, handlers: readonly PacketHandler[], onClose: OnFaceClose) {
  const keepAlive = setInterval(() => socket.send(idle, 0, idle.length), keepAliveMs).unref();
  const reassembler = new Reassembler({ partials: 64, partialsOfPeer: 64 });
  const face = new DatagramFace({ ...peer, socket, reassembler }, handlers, (reason) => {
    clearInterval(keepAlive);
    socket.close();
    onClose(reason);
  });
  socket.onDatagram((datagram) => face.receive(datagram));
  socket.onError((err) => face.end(err));
  return face;
}
