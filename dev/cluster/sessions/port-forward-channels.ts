import type { WebSocket } from "ws";
import type { Pod } from "../api/objects.ts";
import { badRequest } from "../api/status.ts";
import type { Kubelet } from "../pods/kubelet.ts";
import { ChannelConnection, type ChannelProtocol } from "./channels.ts";
import { connectTarget, type ForwardTarget } from "./forward-target.ts";

/** @returns the ports of the older port-forward, from repeated or comma-separated `ports`; throws 400 */
export function forwardedPorts(query: URLSearchParams): number[] {
  const ports = query
    .getAll("ports")
    .flatMap((value) => value.split(","))
    .map(Number);
  if (ports.length === 0) throw badRequest('query parameter "ports" is required');
  if (!ports.every((port) => Number.isInteger(port) && port > 0 && port < 65_536)) {
    throw badRequest('query parameter "ports" must be between 1 and 65535');
  }
  return ports;
}

/**
 * Port-forward on channels (kubelet's portforward/websocket.go). For the n-th port, channel 2n carries data
 * and 2n+1 errors, each beginning with the port as a little-endian 16-bit number. All ports are connected at
 * once, with one connection each. Resolves when the client has left.
 */
export function portForwardChannels(
  socket: WebSocket,
  protocol: ChannelProtocol,
  ports: readonly number[],
  kubelet: Kubelet,
  pod: Pod,
): Promise<void> {
  return new Promise((resolve) => {
    const targets: ForwardTarget[] = [];
    const connection = new ChannelConnection(socket, protocol, {
      onData: (channel, data) => {
        const target = channel % 2 === 0 ? targets[channel / 2] : undefined;
        if (target?.write(data, () => connection.resumeInput()) === false) connection.pauseInput();
      },
      onHalfClose: () => undefined,
      onPressure: (paused) => {
        for (const target of targets) paused ? target.pause() : target.resume();
      },
      onClose: () => {
        for (const target of targets) target.destroy();
        resolve();
      },
    });
    let open = ports.length;
    for (const [index, port] of ports.entries()) {
      const head = Buffer.of(port & 0xff, port >> 8);
      connection.send(2 * index, head);
      connection.send(2 * index + 1, head);
      targets.push(
        connectTarget(kubelet, pod, port, {
          onData: (chunk) => connection.send(2 * index, chunk),
          onEnd: (error) => {
            if (error !== undefined) connection.send(2 * index + 1, Buffer.from(error));
            if (--open === 0) connection.end();
          },
          onClosed: () => undefined,
        }),
      );
    }
  });
}
