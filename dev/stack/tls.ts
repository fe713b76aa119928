/** HTTPS in front of a persona's port, for client libraries that refuse plain HTTP. */
import { connect, type Socket } from "node:net";
import { createServer, type Server } from "node:tls";
import { errorCode } from "../../common/errors.ts";
import { LOOPBACK } from "./ports.ts";
import type { TlsIdentity } from "./tls-identity.ts";

export interface TlsFront {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Terminates TLS and passes the bytes on in both directions. HTTP, upgrades and half-closes are left to the
 * target.
 *
 * @param preferredPort if it is taken, any free port is used
 */
export async function startTlsFront(
  preferredPort: number,
  targetPort: number,
  identity: TlsIdentity,
): Promise<TlsFront> {
  const open = new Set<Socket>();
  const track = (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  };
  const server = createServer(
    {
      cert: identity.leaf.cert,
      key: identity.leaf.key,
      // The persona's port serves HTTP/1.1 only, whose upgrades Kubernetes' streams need.
      ALPNProtocols: ["http/1.1"],
      allowHalfOpen: true,
    },
    (client) => {
      const upstream = connect({ host: LOOPBACK, port: targetPort, allowHalfOpen: true, noDelay: true });
      client.setNoDelay(true);
      join(client, upstream);
      track(upstream);
    },
  );
  // Raw connections: one that never completes its handshake would delay closing for two minutes.
  server.on("connection", track);
  // A client that does not trust the CA yet, or a port scan: nothing to do.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  const port = await listen(server, preferredPort);
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

/** `pipe` propagates ends and back-pressure. Only errors have to be handled here. */
function join(one: Socket, other: Socket): void {
  one.pipe(other);
  other.pipe(one);
  one.on("error", () => other.destroy());
  other.on("error", () => one.destroy());
}

async function listen(server: Server, preferredPort: number): Promise<number> {
  try {
    return await listenOn(server, preferredPort);
  } catch (error) {
    if (errorCode(error) !== "EADDRINUSE") throw error;
    return listenOn(server, 0);
  }
}

function listenOn(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      server.off("error", reject);
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("the TLS server has no port"));
      else resolve(address.port);
    });
  });
}
