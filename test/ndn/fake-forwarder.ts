/** The management of a forwarder, built with `@ndn/*`: takes `rib` commands on a stream socket and keeps count. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { produce } from "@ndn/endpoint";
import { Forwarder } from "@ndn/fw";
import { L3Face, StreamTransport } from "@ndn/l3face";
import { ControlParameters, ControlResponse } from "@ndn/nfdmgmt";
import { Data, type Interest, Name } from "@ndn/packet";
import { Decoder, Encoder } from "@ndn/tlv";

/** A command that arrived. */
export interface RibCommand {
  /** `/localhost/nfd` or `/localhop/nfd`. */
  readonly under: string;
  readonly verb: string;
  readonly parameters: ControlParameters;
}

/** A forwarder that knows nothing but commands. */
export interface FakeForwarder extends AsyncDisposable {
  readonly commands: RibCommand[];
  /** 0 for a unix socket. */
  readonly port: number;
  /** Status of every response from now on; undefined for silence. */
  answerWith(status: number | undefined): void;
  /** Break all connections; the socket stays. */
  breakConnections(): void;
}

/** Listen on a unix socket path, or on a TCP port of 127.0.0.1. */
export async function startFakeForwarder(where: string | 0): Promise<FakeForwarder> {
  const fw = Forwarder.create();
  const sockets = new Set<Socket>();
  const commands: RibCommand[] = [];
  let status: number | undefined = 200;
  const handle = async (interest: Interest) => {
    commands.push(commandOf(interest));
    if (status === undefined) return undefined;
    return new Data(interest.name, Encoder.encode(new ControlResponse(status, status === 200 ? "OK" : "refused")));
  };
  const producers = ["/localhost/nfd", "/localhop/nfd"].map((prefix) => produce(prefix, handle, { fw }));
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    fw.addFace(new L3Face(new StreamTransport(socket)));
  });
  await once(where === 0 ? server.listen(0, "127.0.0.1") : server.listen(where), "listening");
  const breakConnections = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    commands,
    port: where === 0 ? (server.address() as AddressInfo).port : 0,
    answerWith: (answer) => {
      status = answer;
    },
    breakConnections,
    async [Symbol.asyncDispose]() {
      for (const producer of producers) producer.close();
      breakConnections();
      server.close();
      await once(server, "close");
      fw.close();
    },
  };
}

/** `<under>/rib/<verb>/<parameters>/…` of a signed Interest. */
function commandOf({ name }: Interest): RibCommand {
  const parameters = Decoder.decode(name.at(4).value, ControlParameters);
  return { under: new Name(name.getPrefix(2)).toString(), verb: name.at(3).text, parameters };
}
