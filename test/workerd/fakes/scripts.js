// What the cluster's pods do by themselves.
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
const NO_SUCH_COMMAND = JSON.stringify({
  metadata: {},
  status: "Failure",
  message: 'exec: "nosuch": executable file not found in $PATH',
  reason: "InternalError",
  code: 500,
});

export const SCRIPTS = {
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
  "no-command"(socket) {
    socket.send(frame(3, NO_SUCH_COMMAND));
    socket.close(1000, "");
  },
  silent() {},
};

export const status = (code, reason, message) =>
  Response.json(
    { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code },
    { status: code },
  );

export const REFUSALS = {
  forbidden: () => status(403, "Forbidden", 'pods "forbidden" is forbidden: User cannot get resource "pods/exec"'),
  unreachable() {
    throw new Error("tunnel is down");
  },
  html: () => new Response("<html>login</html>", { headers: { "Content-Type": "text/html" } }),
  redirect: () => new Response(null, { status: 302, headers: { Location: "https://elsewhere.example/" } }),
  verbose: () => new Response("x".repeat(1_000_000), { status: 500, headers: { "Content-Type": "text/plain" } }),
};
