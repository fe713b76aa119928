import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";

/**
 * An upstream outside workerd that answers with the header lines it received, one by one. A Worker sees lines
 * of one name only joined, and whether groups arrive in one line or in several decides whom the API server
 * impersonates.
 */
export default async function serveRawHeaders(project: TestProject): Promise<() => void> {
  const server = createServer((request, response) => response.end(describe(request)));
  server.on("upgrade", (request, socket) => {
    const body = describe(request);
    socket.end(
      `HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  project.provide("rawHeadersPort", (server.address() as AddressInfo).port);
  return () => {
    server.close();
    server.closeAllConnections();
  };
}

function describe(request: IncomingMessage): string {
  const lines: [string, string][] = [];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    lines.push([(request.rawHeaders[i] ?? "").toLowerCase(), request.rawHeaders[i + 1] ?? ""]);
  }
  return JSON.stringify({ method: request.method, url: request.url, lines });
}

declare module "vitest" {
  interface ProvidedContext {
    rawHeadersPort: number;
  }
}
