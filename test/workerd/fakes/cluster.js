// A cluster of the tests' own. A name in the path says how the request is answered:
//   puppet-…   the test itself plays the upstream, over a control socket (see puppet.js and ../puppet.ts)
//   raw-PORT   passed on to a server of the test run that sees the header lines one by one
//              (see ../../support/raw-headers-server.ts)
//   a pod of SCRIPTS or REFUSALS; anything else gets back what arrived.
import { Puppet } from "./puppet.js";
import { REFUSALS, SCRIPTS, status } from "./scripts.js";

export { Puppet };

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const puppet = /puppet-[a-z0-9-]+/.exec(url.pathname)?.[0];
    if (puppet) return env.PUPPETS.getByName(puppet).fetch(request);
    const rawPort = /raw-(\d+)/.exec(url.pathname)?.[1];
    if (rawPort) return fetch(`http://127.0.0.1:${rawPort}${url.pathname}${url.search}`, request);

    // Decoded first, as the API server does: `%65xec` is exec.
    const pod = /\/pods\/([^/]+)\/(exec|attach|portforward)$/.exec(decodeURIComponent(url.pathname))?.[1];
    if (pod === undefined || request.headers.get("Upgrade") !== "websocket") return describe(request);
    const refusal = REFUSALS[pod];
    if (refusal) return refusal();
    const script = SCRIPTS[pod];
    if (!script) return status(404, "NotFound", `pods "${pod}" not found`);
    const { 0: client, 1: server } = new WebSocketPair();
    server.binaryType = "arraybuffer";
    server.accept();
    // The last of the offered: a proxy that answers with the first one is found out.
    const offered = (request.headers.get("Sec-WebSocket-Protocol") ?? "").split(", ").filter(Boolean);
    const chosen = offered.at(-1);
    script(server);
    return new Response(null, {
      status: 101,
      webSocket: client,
      headers: chosen ? { "Sec-WebSocket-Protocol": chosen } : {},
    });
  },
};

async function describe(request) {
  return Response.json({
    method: request.method,
    url: request.url,
    headers: Object.fromEntries(request.headers),
    body: await request.text(),
  });
}
