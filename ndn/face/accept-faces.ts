/**
 * Accepts faces on a stream or on UDP, so that two machines need no forwarder.
 */
import { DatagramListener } from "./datagram-listener.ts";
import type { PacketHandler } from "./face.ts";
import { FaceListener } from "./face-listener.ts";
import type { FaceUrl } from "./face-url.ts";
import { usualMtu } from "./mtu.ts";

/** A listening socket, and the faces that have come to it. */
export interface AcceptedFaces {
  /** The port in use; 0 for unix sockets. */
  readonly port: number;
  readonly faceCount: number;
  close(): Promise<void>;
}

/** What may be chosen. */
export interface AcceptOptions {
  /** Bytes of a datagram at most. @defaultValue 1400, or less where an interface carries less */
  readonly mtu?: number | undefined;
  /** Faces at a time. @defaultValue 256 on streams, 1024 on UDP */
  readonly maxFaces?: number;
}

/** Listen on `url`. @throws Error when the address is taken or cannot be listened on. */
export function acceptFaces(
  url: FaceUrl,
  handlers: readonly PacketHandler[],
  { mtu = usualMtu(), maxFaces }: AcceptOptions = {},
): Promise<AcceptedFaces> {
  if (url.scheme !== "udp") return FaceListener.listen(url, handlers, maxFaces === undefined ? {} : { maxFaces });
  const { host, port, text } = url;
  return DatagramListener.listen({ host, port, mtu, describe: text, maxFaces }, handlers);
}
