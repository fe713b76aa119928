import * as z from "zod";

/**
 * How an object's sessions reach a cluster.
 *
 * - `auto`: over TCP where a binding for it is configured, bound and able; otherwise by the platform's
 *   WebSocket.
 * - `tcp`: over TCP, or not at all.
 * - `websocket`: by the platform's WebSocket, which has no back-pressure.
 */
export const UPSTREAM_TRANSPORTS = ["auto", "tcp", "websocket"] as const;
export type UpstreamTransport = (typeof UPSTREAM_TRANSPORTS)[number];

/** The port of the sidecar beside cloudflared, on loopback within their pod. */
export const SIDECAR_PORT = 8001;
/** The same as an address for `connect()`. */
export const SIDECAR_ADDRESS = `127.0.0.1:${SIDECAR_PORT}`;

export const upstreamSchema = z
  .strictObject({
    transport: z.enum(UPSTREAM_TRANSPORTS),
    /**
     * The binding whose `connect()` leads to the cluster. null: the cluster's own, which `auto` does not try:
     * every service binding has the method, and nothing tells beforehand whether it leads anywhere.
     */
    tcpBinding: z.string().min(1).nullable(),
    /** `host:port` for `connect()`. A VPC service ignores it, a VPC network goes there. */
    address: z.string().min(1),
  })
  .readonly();
export type UpstreamPlan = z.output<typeof upstreamSchema>;
