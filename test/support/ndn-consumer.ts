/**
 * NDNts as the consumer: the second implementation that speaks to our server through a real forwarder.
 */
import { Forwarder } from "@ndn/fw";
import { UnixTransport } from "@ndn/node-transport";
import { Component, FwHint, Name } from "@ndn/packet";
import { hashOf, parseSha256 } from "#oci/reference.ts";

/** A logical forwarder of NDNts with one face to a real one. */
export interface NdntsConsumer extends AsyncDisposable {
  readonly fw: Forwarder;
}

/** Connect NDNts to the forwarder at this socket. */
export async function connectNdnts(socket: string): Promise<NdntsConsumer> {
  const fw = Forwarder.create();
  await UnixTransport.createFace({ fw, addRoutes: ["/"] }, socket);
  return {
    fw,
    async [Symbol.asyncDispose]() {
      fw.close();
    },
  };
}

/** `P/<repository>` */
export function repositoryName(prefix: string, repository: string): Name {
  return new Name(`${prefix}/${repository}`);
}

/** `P/<repository>/D` */
export function plainName(prefix: string, repository: string, digest: string): Name {
  return repositoryName(prefix, repository).append(digestComponent(digest));
}

/** `P/D/54=8192` */
export function segmentedName(prefix: string, digest: string): Name {
  return new Name(prefix).append(digestComponent(digest), new Component(54, Uint8Array.of(8192 >> 8, 8192 & 255)));
}

/** Makes routers and servers send an Interest without a repository in its name the right way. */
export function hintOf(prefix: string, repository: string): { fwHint: FwHint } {
  return { fwHint: new FwHint(repositoryName(prefix, repository)) };
}

function digestComponent(digest: string): Component {
  return new Component(8, hashOf(parseSha256(digest)!));
}
