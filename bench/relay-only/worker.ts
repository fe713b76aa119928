/**
 * The benchmark's floor: a Worker that hands a session's WebSocket to a Durable Object, which opens TCP to
 * the cluster and passes messages on. Whatever leads sessions through an object costs that much, so the
 * difference to it is Sallyport's own. It checks, logs and limits nothing, and must never be deployed.
 */
import { connect } from "cloudflare:sockets";
import { DurableObject } from "cloudflare:workers";
import { AS_USER, headersAsUser, UPSTREAM_ORIGIN } from "../untouched/persona.ts";
import { openWebSocket } from "./open-websocket.ts";
import { relay } from "./relay.ts";

interface Env {
  readonly KUBE_API: Fetcher;
  readonly RELAYS: DurableObjectNamespace<RelayOnly>;
  /** Of the local stack's document. */
  readonly SALLYPORT_CONFIG: { readonly tcpAddress: string };
}

/** One for all sessions, as a user's object has all of theirs. */
export class RelayOnly extends DurableObject<Env> {
  override async fetch(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const stream = connect(this.env.SALLYPORT_CONFIG.tcpAddress, { allowHalfOpen: true, secureTransport: "off" });
    const upstream = await openWebSocket(stream, `${pathname}${search}`, request.headers);
    const { 0: outside, 1: inside } = new WebSocketPair();
    relay(inside, upstream, (until) => void this.ctx.blockConcurrencyWhile(until));
    const headers = { "Sec-WebSocket-Protocol": upstream.subprotocol };
    return new Response(null, { status: 101, webSocket: outside, headers });
  }
}

export default {
  fetch(request, { KUBE_API, RELAYS }) {
    const { pathname, search } = new URL(request.url);
    const { method, body } = request;
    const headers = headersAsUser(request.headers);
    const address = UPSTREAM_ORIGIN + pathname + search;
    return request.headers.get("Upgrade") === "websocket"
      ? RELAYS.getByName(AS_USER.user).fetch(address, { headers })
      : KUBE_API.fetch(address, { method, headers, body, redirect: "manual" });
  },
} satisfies ExportedHandler<Env>;
