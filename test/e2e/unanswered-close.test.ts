/** A cluster that does not answer the close frame: an ended session must not continue there. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type Stack, startStack } from "../../dev/stack/index.ts";

const HANDSHAKE_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const home = mkdtempSync(join(tmpdir(), "sallyport-e2e-"));
let cluster: Server;
let upstream: string;
let stack: Stack | undefined;
let session: Socket | undefined;

beforeAll(async () => {
  cluster = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (request) => {
      const key = /sec-websocket-key: (.*)\r/i.exec(request.toString())?.[1];
      const accept = createHash("sha1").update(`${key}${HANDSHAKE_GUID}`).digest("base64");
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n`,
      );
      session = socket;
      // From here on everything is read and never answered, a close frame included.
      socket.resume();
    });
  });
  await new Promise<void>((listening) => cluster.listen(0, "127.0.0.1", listening));
  const address = cluster.address();
  const port = typeof address === "object" && address ? address.port : 0;
  upstream = `http://127.0.0.1:${port}`;
});
afterEach(() => stack?.stop());
afterAll(() => {
  cluster?.close();
  rmSync(home, { recursive: true, force: true });
});

it.each(["tcp", "websocket"] as const)(
  "closes an ended session's %s connection if the cluster does not",
  async (transport) => {
    stack = await startStack({ stateDir: join(home, transport), port: 0, upstream, transport, quiet: true });
    const url = `${stack.personas.alice.url.replace("http", "ws")}/api/v1/namespaces/demo/pods/p/exec?command=sh&stdin=true`;
    const client = new WebSocket(url, ["v5.channel.k8s.io"]);
    client.on("error", () => {});
    await new Promise((open) => client.once("open", open));
    expect(session?.closed).toBe(false);
    const response = await fetch(`${stack.personas.admin.url}/-/admin/users/alice@example.com/sessions`, {
      method: "DELETE",
    });
    expect(((await response.json()) as { ended: string[] }).ended).toHaveLength(1);
    await expect.poll(() => session?.closed).toBe(true);
    client.terminate();
  },
);
