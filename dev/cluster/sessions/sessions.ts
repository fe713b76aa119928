import type { IncomingMessage } from "node:http";
import type { WebSocket } from "ws";
import { badRequest, methodNotAllowed } from "../api/status.ts";
import type { Store } from "../api/storage.ts";
import type { ResourceRequest } from "../auth/request-info.ts";
import type { Kubelet } from "../pods/kubelet.ts";
import type { ProcessRunner } from "../pods/runner.ts";
import { attach } from "./attach.ts";
import {
  type ChannelProtocol,
  negotiateChannels,
  PORT_FORWARD_PROTOCOLS,
  REMOTE_COMMAND_PROTOCOLS,
} from "./channels.ts";
import { exec, execCommand } from "./exec.ts";
import { forwardedPorts, portForwardChannels } from "./port-forward-channels.ts";
import { portForwardSpdy, TUNNEL_PROTOCOL } from "./port-forward-spdy.ts";
import { streamOptions } from "./remote-command.ts";
import { targetContainer, targetPod } from "./target.ts";
import { acceptWebSocket, isWebSocketRequest, offeredProtocols, type Upgrade } from "./websocket.ts";

export const SESSION_SUBRESOURCES = ["attach", "exec", "portforward"];

export interface SessionContext {
  readonly store: Store;
  readonly kubelet: Kubelet;
  readonly runner: ProcessRunner;
}

/** A session whose request is valid. It remains to upgrade, and to run until the client leaves. */
export type ReadySession = (upgrade: Upgrade) => Promise<void>;

/** Checks everything that can be refused before the upgrade. Throws StatusError. */
export function prepareSession(
  { store, kubelet, runner }: SessionContext,
  request: IncomingMessage,
  info: ResourceRequest,
  query: URLSearchParams,
): ReadySession {
  if (info.verb !== "get" && info.verb !== "create") throw methodNotAllowed();
  const pod = targetPod(store, info);
  const isForward = info.subresource === "portforward";
  const container = isForward ? undefined : targetContainer(pod, query.get("container") ?? "");
  const options = isForward ? undefined : streamOptions(query);
  const command = info.subresource === "exec" ? execCommand(query) : [];
  const { phase } = pod.status;
  if (!isForward && (phase === "Succeeded" || phase === "Failed")) {
    throw badRequest(`cannot exec into a container in a completed pod; current phase is ${phase}`);
  }
  if (!isWebSocketRequest(request)) {
    throw badRequest("you must use a WebSocket for this: the embedded cluster does not speak SPDY by itself");
  }
  const offered = offeredProtocols(request);
  const begin =
    (protocol: string, run: (socket: WebSocket) => Promise<void>): ReadySession =>
    async (upgrade) => {
      const socket = await acceptWebSocket(request, upgrade, protocol);
      try {
        await run(socket);
      } finally {
        // Nothing else closes it after an unexpected failure.
        socket.terminate();
      }
    };
  if (isForward && offered.includes(TUNNEL_PROTOCOL)) {
    return begin(TUNNEL_PROTOCOL, (socket) => portForwardSpdy(socket, kubelet, pod));
  }
  const protocol = chooseProtocol(offered, isForward ? PORT_FORWARD_PROTOCOLS : REMOTE_COMMAND_PROTOCOLS);
  if (container === undefined || options === undefined) {
    const ports = forwardedPorts(query);
    return begin(protocol.name, (socket) => portForwardChannels(socket, protocol, ports, kubelet, pod));
  }
  const target = { pod, container };
  return begin(protocol.name, (socket) =>
    info.subresource === "exec"
      ? exec(socket, protocol, target, command, options, kubelet, runner)
      : attach(socket, protocol, target, options, kubelet),
  );
}

function chooseProtocol(offered: readonly string[], known: readonly ChannelProtocol[]): ChannelProtocol {
  const protocol = negotiateChannels(offered, known);
  if (protocol === undefined)
    throw badRequest(`unable to negotiate a WebSocket subprotocol: client offers [${offered.join(" ")}]`);
  return protocol;
}
