import { DurableObject } from "cloudflare:workers";

/** Of blockConcurrencyWhile. At 30 s it resets the object. */
const LONGEST_CALL_MS = 20_000;

/**
 * One upstream in the test's hands. The test connects first, to http://control/<name>; the next other request
 * is the one it plays the server of.
 *
 * On the control socket, binary messages are the stream's own bytes, both ways. Text is JSON:
 * - to the test `{event: "request" | "text" | "end" | "close" | "cancelled", …}`
 * - from the test `{do: "accept" | "refuse" | "text" | "close" | "crash" | "stall", …}`
 *
 * A WebSocket is accepted at once, unless `?hold` was asked for, with the last of the offered subprotocols,
 * unless `?protocol=` names another; plain HTTP is answered when told to accept.
 */
export class Puppet extends DurableObject {
  #control;
  #hold = false;
  #protocol;
  #decision = Promise.withResolvers();
  /** Where the test's bytes go: the session's socket or the response's body. */
  #sink;

  async fetch(request) {
    const url = new URL(request.url);
    if (url.host === "control") return this.#connect(url.searchParams);
    this.#tell({
      event: "request",
      method: request.method,
      url: request.url,
      headers: Object.fromEntries(request.headers),
    });
    const isUpgrade = request.headers.get("Upgrade") === "websocket";
    if (isUpgrade && !this.#hold) return this.#openSocket(request);
    request.signal.addEventListener("abort", () => this.#tell({ event: "cancelled" }));
    if (!isUpgrade) this.ctx.waitUntil(this.#report(request.body));
    const { status = 200, body, headers } = await this.#decision.promise;
    if (body !== undefined) return new Response(body, { status, headers });
    return isUpgrade ? this.#openSocket(request) : this.#openBody(status, headers);
  }

  #connect(wishes) {
    const { 0: outside, 1: control } = new WebSocketPair();
    this.#hold = wishes.has("hold");
    this.#protocol = wishes.get("protocol");
    this.#control = control;
    control.binaryType = "arraybuffer";
    control.accept();
    control.addEventListener("message", ({ data }) =>
      typeof data === "string" ? this.#obey(JSON.parse(data)) : this.#sink.send(data),
    );
    return new Response(null, { status: 101, webSocket: outside });
  }

  #obey(order) {
    if (order.do === "accept" || order.do === "refuse") this.#decision.resolve(order);
    if (order.do === "text") this.#sink.send(order.data);
    if (order.do === "close") this.#sink.close(order.code, order.reason);
    // Both sockets break without a close frame, as when a tunnel dies.
    if (order.do === "crash") this.ctx.abort();
    if (order.do === "stall") this.#stall(order.ms);
  }

  /**
   * Nothing is delivered to the object meanwhile, so that nothing is read from its sockets. All calls are
   * made at once, so that nothing comes in between.
   */
  #stall(ms) {
    for (let left = ms; left > 0; left -= LONGEST_CALL_MS) {
      const callMs = Math.min(left, LONGEST_CALL_MS);
      void this.ctx.blockConcurrencyWhile(() => scheduler.wait(callMs));
    }
  }

  #openSocket(request) {
    const { 0: outside, 1: socket } = new WebSocketPair();
    socket.binaryType = "arraybuffer";
    socket.accept({ allowHalfOpen: true });
    socket.addEventListener("message", ({ data }) =>
      typeof data === "string" ? this.#tell({ event: "text", data }) : this.#control.send(data),
    );
    socket.addEventListener("close", ({ code, reason }) => this.#tell({ event: "close", code, reason }));
    this.#sink = socket;
    const offered = (request.headers.get("Sec-WebSocket-Protocol") ?? "").split(", ").filter(Boolean);
    const chosen = this.#protocol ?? offered.at(-1);
    return new Response(null, {
      status: 101,
      webSocket: outside,
      headers: chosen ? { "Sec-WebSocket-Protocol": chosen } : {},
    });
  }

  #openBody(status, headers) {
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    writer.closed.catch(() => this.#tell({ event: "cancelled" }));
    this.#sink = {
      send: (data) => void writer.write(new Uint8Array(data)).catch(() => {}),
      close: () => void writer.close().catch(() => {}),
    };
    return new Response(readable, { status, headers });
  }

  async #report(body) {
    try {
      for await (const chunk of body ?? []) this.#control.send(chunk);
      this.#tell({ event: "end" });
    } catch {
      this.#tell({ event: "cancelled" });
    }
  }

  #tell(event) {
    this.#control.send(JSON.stringify(event));
  }
}
