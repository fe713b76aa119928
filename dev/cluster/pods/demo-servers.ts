import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";

/** A pod with this annotation is served from the cluster's own process, as a target for port-forward. */
export const SERVER_ANNOTATION = "embedded.sallyport/server";

/** The servers of one pod: the pod's ports that they serve, and this machine's ports for them. */
export interface DemoServers {
  readonly hostPorts: ReadonlyMap<number, number>;
  close(): void;
}

/**
 * Starts the servers that the annotation names: `web` (8080 HTTP), `echo` (8080 HTTP and 7 TCP echo) or
 * `database` (a database's port, 5432, where TCP echo answers).
 */
export async function startDemoServers(kind: string, image: string, log: (line: string) => void): Promise<DemoServers> {
  const servers: [number, Server][] = [];
  if (kind === "web" || kind === "echo") servers.push([8080, httpServer(image, log)]);
  if (kind === "echo") servers.push([7, echoServer()]);
  if (kind === "database") servers.push([5432, echoServer()]);

  const open = new Set<Socket>();
  const hostPorts = new Map<number, number>();
  for (const [port, server] of servers) {
    server.on("connection", (socket: Socket) => {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
    });
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
    hostPorts.set(port, (server.address() as AddressInfo).port);
  }
  return {
    hostPorts,
    close: () => {
      for (const [, server] of servers) server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

function httpServer(image: string, log: (line: string) => void): Server {
  return createHttpServer((request, response) => {
    const path = request.url?.split("?")[0] ?? "";
    if (path === "/" || path === "/index.html") answer(response, 200, `hello from ${image}\n`);
    else if (path === "/echo" || path === "/cgi-bin/echo") echo(request, response);
    else answer(response, 404, "not found\n");
    response.once("finish", () => log(`${request.method} ${path} ${response.statusCode}\n`));
  });
}

function answer(response: ServerResponse, code: number, body: string): void {
  response.writeHead(code, { "content-type": "text/plain; charset=utf-8" }).end(body);
}

// The request's head, an empty line, and its body as it arrives.
function echo(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
  const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${String(value)}`);
  response.write(`${[`${request.method} ${request.url}`, ...headers].join("\n")}\n\n`);
  request.pipe(response);
}

function echoServer(): Server {
  return createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
}
