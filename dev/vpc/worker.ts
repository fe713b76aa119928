/**
 * The tests' fake of a Workers VPC service of type `tcp`: whatever address is asked for, a connection leads
 * to the one address that the service is for. Miniflare's external services do not answer `connect()`, so
 * this is a Worker with a handler for it. The local stack binds the network instead, which costs no Worker's
 * turn.
 */
import { connect } from "cloudflare:sockets";
import { WorkerEntrypoint } from "cloudflare:workers";
import type { VpcServiceProps } from "./props.ts";

export default class VpcService extends WorkerEntrypoint<unknown, VpcServiceProps> {
  /** Bytes go both ways with back-pressure, and either side may end its half first. */
  override async connect(socket: Socket): Promise<void> {
    const target = connect(this.ctx.props.address, { allowHalfOpen: true, secureTransport: "off" });
    // After an abort of its writable half a socket sends nothing more, not even a FIN when it is closed.
    const options = { preventAbort: true };
    await Promise.all([
      socket.readable.pipeTo(target.writable, options),
      target.readable.pipeTo(socket.writable, options),
    ]).catch(() => {});
    // One side may have broken, and nothing else would tell the other.
    await Promise.allSettled([socket.close(), target.close()]);
  }
}
