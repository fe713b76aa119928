import { channelProtocol } from "../../kubernetes/channels.ts";
import type { SessionKind } from "../../kubernetes/session-target.ts";
import { ExecObserver } from "./exec.ts";
import { type Observer, sizeOf } from "./observer.ts";
import { PortForwardChannelsObserver } from "./port-forward-channels.ts";
import { PORT_FORWARD_TUNNEL, PortForwardTunnelObserver } from "./port-forward-tunnel.ts";

/** Bytes nobody here understands (KubeVirt's `plain.kubevirt.io`): all of them are use, and nothing can be said. */
const RAW: Observer = {
  fromClient: (message) => sizeOf(message) > 0,
  fromUpstream: (message) => sizeOf(message) > 0,
  finalStatus: () => undefined,
  farewell: () => [],
  lingerMs: 0,
};

/** @param subprotocol what the upstream chose, `""` for none */
export function observerFor(kind: SessionKind, subprotocol: string, terminal: boolean): Observer {
  const channels = channelProtocol(subprotocol);
  switch (kind) {
    case "exec":
    case "attach":
      return channels ? new ExecObserver(channels, terminal) : RAW;
    case "port-forward":
      if (subprotocol === PORT_FORWARD_TUNNEL) return new PortForwardTunnelObserver();
      return channels ? new PortForwardChannelsObserver(channels) : RAW;
    case "console":
    case "vnc":
    case "usbredir":
    case "vsock":
    case "vm-port-forward":
      return RAW;
  }
}
