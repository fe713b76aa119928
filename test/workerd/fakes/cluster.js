// A scripted cluster. For a session the pod's name says how it behaves; anything else answers with what arrived.
const encoder = new TextEncoder();
const frame = (channel, text) => {
  const payload = typeof text === "string" ? encoder.encode(text) : text;
  const bytes = new Uint8Array(payload.length + 1);
  bytes[0] = channel;
  bytes.set(payload, 1);
  return bytes;
};
const SUCCESS = JSON.stringify({ metadata: {}, status: "Success" });
const EXIT_3 = JSON.stringify({
  metadata: {},
  status: "Failure",
  message: "command terminated with exit code 3",
  reason: "NonZeroExitCode",
  details: { causes: [{ reason: "ExitCode", message: "3" }] },
});

const PODS = {
  // Gives stdin back on stdout; ends well when stdin is closed.
  echo(socket) {
    socket.addEventListener("message", ({ data }) => {
      const bytes = new Uint8Array(data);
      if (bytes[0] === 0) socket.send(frame(1, bytes.subarray(1)));
      if (bytes[0] === 255) {
        socket.send(frame(3, SUCCESS));
        socket.close(1000, "");
      }
    });
  },
  "exit-3"(socket) {
    socket.send(frame(1, "out\n"));
    socket.send(frame(2, "err\n"));
    // The Status in two pieces: channel 3 is a byte stream.
    socket.send(frame(3, EXIT_3.slice(0, 20)));
    socket.send(frame(3, EXIT_3.slice(20)));
    socket.close(1000, "");
  },
  silent() {},
  "closes-1011"(socket) {
    socket.send(frame(1, "so far\n"));
    socket.close(1011, "broken");
  },
};

function refuse(code, reason, message) {
  return Response.json({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code }, { status: code });
}

export default {
  async fetch(request) {
    const url = new URL(request.url);
    const pod = /\/pods\/([^/]+)\/(exec|attach|portforward)$/.exec(url.pathname)?.[1];
    if (pod === undefined || request.headers.get("Upgrade") !== "websocket") {
      return Response.json({ method: request.method, url: request.url, headers: [...request.headers], body: await request.text() });
    }
    if (pod === "forbidden") return refuse(403, "Forbidden", 'pods "forbidden" is forbidden: User cannot get resource "pods/exec"');
    if (pod === "unreachable") throw new Error("tunnel is down");
    if (pod === "html") return new Response("<html>login</html>", { headers: { "Content-Type": "text/html" } });
    const script = PODS[pod];
    if (!script) return refuse(404, "NotFound", `pods "${pod}" not found`);
    const { 0: client, 1: server } = new WebSocketPair();
    server.binaryType = "arraybuffer";
    server.accept();
    // The last of the offered: a proxy that answers with the first one is found out.
    const offered = (request.headers.get("Sec-WebSocket-Protocol") ?? "").split(", ").filter(Boolean);
    const chosen = offered.at(-1);
    script(server);
    return new Response(null, { status: 101, webSocket: client, headers: chosen ? { "Sec-WebSocket-Protocol": chosen } : {} });
  },
};
