/** Access in front of a deployment, as far as a sign-in needs it, over HTTPS on this machine. */
import { mkdtempSync, rmSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { createServer, get as getOverTls } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { loadTlsIdentity } from "../../../dev/stack/tls-identity.ts";

export interface AccessServer {
  /** `https://localhost:port` and `https://127.0.0.1:port` are both it. */
  readonly url: string;
  readonly secondUrl: string;
  /** PEM. */
  readonly ca: string;
  /** The paths that were asked, in order. */
  readonly asked: string[];
  /** Opens an address as a browser would whose person agrees at once. */
  readonly browse: (address: string) => Promise<void>;
}

export interface AccessAnswers {
  /** Fields of the token endpoint's answer. */
  readonly tokens?: Readonly<Record<string, unknown>>;
  /** Parameters of the redirect to loopback. */
  readonly redirect?: Readonly<Record<string, string>>;
}

export async function startAccess({ tokens = {}, redirect = {} }: AccessAnswers = {}): Promise<AccessServer> {
  const folder = mkdtempSync(join(tmpdir(), "plugin-access-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const { ca, leaf } = await loadTlsIdentity(join(folder, "identity.json"), new Date());
  const asked: string[] = [];
  let url = "";
  let issued = 0;
  const answer = (path: string, query: URLSearchParams, headers: IncomingMessage["headers"]): Response => {
    const own = `https://${headers.host}`;
    switch (path) {
      case "/-/whoami":
        if (headers.authorization !== undefined) {
          return Response.json({ clusters: [{ hostnames: ["localhost", "127.0.0.1"] }] });
        }
        return new Response(null, {
          status: 401,
          headers: { "www-authenticate": `Bearer resource_metadata="${own}/resource"` },
        });
      case "/resource":
        return Response.json({ resource: own, authorization_servers: [url] });
      case "/.well-known/oauth-authorization-server":
        return Response.json({
          issuer: url,
          authorization_endpoint: `${url}/authorize`,
          token_endpoint: `${url}/token`,
          registration_endpoint: `${url}/register`,
        });
      case "/register":
        return Response.json({ client_id: "client" }, { status: 201 });
      case "/authorize": {
        const back = new URL(query.get("redirect_uri") ?? "");
        const parameters = { code: "code", state: query.get("state") ?? "", ...redirect };
        for (const [name, value] of Object.entries(parameters)) back.searchParams.set(name, value);
        return Response.redirect(back.href);
      }
      case "/token": {
        const usual = { access_token: `oauth:${++issued}`, token_type: "bearer", expires_in: 900 };
        return Response.json({ ...usual, refresh_token: `refresh-${issued}`, ...tokens });
      }
      default:
        return new Response(null, { status: 404 });
    }
  };
  const server = createServer({ cert: leaf.cert, key: leaf.key }, (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "https://localhost");
    asked.push(pathname);
    const { status, headers, body } = answer(pathname, searchParams, request.headers);
    response.writeHead(status, Object.fromEntries(headers));
    void new Response(body).text().then((text) => response.end(text));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  url = `https://127.0.0.1:${port}`;
  const browse = async (address: string): Promise<void> => {
    const location = await new Promise<string | undefined>((done, failed) => {
      const get_ = address.startsWith("https:") ? getOverTls : get;
      get_(address, { ca: ca.cert, agent: false }, (answered) => {
        answered.resume();
        done(answered.headers.location);
      }).once("error", failed);
    });
    if (location !== undefined) await browse(location);
  };
  return { url, secondUrl: `https://localhost:${port}`, ca: ca.cert, asked, browse };
}
