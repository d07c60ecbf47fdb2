import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { type RunningProcess, startProcess } from "../process.ts";
import { programPath } from "../programs.ts";

/** Options of {@link startNdnd}. */
export interface NdndOptions {
  /** Path of the Unix socket; its folder is made. At most 107 characters. */
  readonly socket: string;
  /** TCP faces on this port. @defaultValue none */
  readonly tcpPort?: number;
  /** UDP faces on this port. @defaultValue none */
  readonly udpPort?: number;
  /** Packets in the content store. @defaultValue 32768 */
  readonly capacity?: number;
}

/** Start the forwarder ndnd with its configuration and log beside the socket; resolves when it accepts faces. */
export async function startNdnd(options: NdndOptions): Promise<RunningProcess> {
  if (Buffer.byteLength(options.socket) > 107) throw new RangeError(`socket path too long: ${options.socket}`);
  const folder = dirname(options.socket);
  await mkdir(folder, { recursive: true });
  const config = join(folder, "ndnd.yml");
  await writeFile(config, configuration(options));
  return startProcess({
    command: programPath("ndnd"),
    args: ["fw", "run", config],
    logFile: join(folder, "ndnd.log"),
    ready: () => accepts(options.socket),
  });
}

function configuration({ socket, tcpPort, udpPort, capacity = 32_768 }: NdndOptions): string {
  return `core: {log_level: WARN}
faces:
  queue_size: 4096
  congestion_marking: true
  unix: {enabled: true, socket_path: ${JSON.stringify(socket)}}
  tcp: {enabled: ${tcpPort !== undefined}, port_unicast: ${tcpPort ?? 6363}}
  udp: {enabled_unicast: ${udpPort !== undefined}, enabled_multicast: false, port_unicast: ${udpPort ?? 6363}}
  websocket: {enabled: false}
fw: {threads: 2, queue_size: 4096}
tables: {content_store: {capacity: ${capacity}, admit: true, serve: true}}
`;
}

async function accepts(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path, () => resolve(true)).once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}
