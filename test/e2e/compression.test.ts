/**
 * WebSocket compression is off: with it a message of 1 KB on the wire becomes 1 MiB in the object, before
 * anybody can look at its size. In a deployment the edge is the first that could agree to it; locally that is
 * the Access fake.
 */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { signAccessToken } from "../../dev/access/tokens.ts";
import { loadAccessKeys } from "../../dev/stack/access-keys.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

const PROTOCOL = "v5.channel.k8s.io";
const PATH = "/api/v1/namespaces/demo/pods/shell/exec?command=sh&stdout=true";

let upstream: Server;
/** What the cluster was offered, which would compress if it were asked to. */
const offeredUpstream: (string | undefined)[] = [];

beforeAll(async () => {
  upstream = createServer();
  new WebSocketServer({ server: upstream, perMessageDeflate: true, handleProtocols: () => PROTOCOL }).on(
    "connection",
    (_, { headers }) => offeredUpstream.push(headers["sec-websocket-extensions"]),
  );
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  upstream.close();
  upstream.closeAllConnections();
});

/** Opens a session as a client that offers compression. */
async function open(url: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
  const socket = new WebSocket(`${url}${PATH}`, PROTOCOL, { perMessageDeflate: true, headers });
  // Otherwise this could pass because nothing was offered.
  const { _req: request } = socket as unknown as { _req: { getHeader(name: string): string } };
  expect(request.getHeader("sec-websocket-extensions")).toContain("permessage-deflate");
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    socket.on("error", reject).on("upgrade", resolve);
  });
  socket.on("error", () => {}).terminate();
  return answer;
}

describe.each(["tcp", "websocket"] as const)(
  "a client that offers permessage-deflate, with %s to the cluster",
  (transport) => {
    let people: TestStack;
    beforeAll(async () => {
      const { port } = upstream.address() as AddressInfo;
      people = await startTestStack({}, { upstream: `http://127.0.0.1:${port}`, transport, workerSocket: true });
    });
    afterAll(() => people.stop());

    it.each(["the edge", "the Access fake"])("gets none from %s, and the cluster is offered none", async (first) => {
      offeredUpstream.length = 0;
      const { personas, workerUrl = "", stateDir, access } = people.stack;
      const keys = await loadAccessKeys(join(stateDir, "access-keys.json"));
      const nowSeconds = Math.floor(Date.now() / 1000);
      const alice = { subject: { kind: "person", persona: "alice" }, application: "host" } as const;
      const request = { ...alice, nowSeconds, expiresAtSeconds: nowSeconds + 3_600 };
      const token = await signAccessToken(request, { ...keys, issuer: access.issuer });
      const { headers } =
        first === "the edge"
          ? await open(workerUrl, { "Cf-Access-Jwt-Assertion": token })
          : await open(personas.alice.url, {});
      expect(headers["sec-websocket-protocol"]).toBe(PROTOCOL);
      expect(headers["sec-websocket-extensions"]).toBeUndefined();
      expect(offeredUpstream).toEqual([undefined]);
    });
  },
);
