import { channelProtocol } from "../../kubernetes/channels.ts";
import type { SessionKind } from "../../kubernetes/session-target.ts";
import { ExecObserver } from "./exec.ts";
import type { Observer } from "./observer.ts";
import { PortForwardChannelsObserver } from "./port-forward-channels.ts";
import { PORT_FORWARD_TUNNEL, PortForwardTunnelObserver } from "./port-forward-tunnel.ts";
import { RawObserver } from "./raw.ts";

/** What the observer of a port-forward needs. */
export interface Forwarding {
  /** The ports named in the request; kubectl names none there. */
  readonly ports: readonly number[];
  /** Called when a port is first used, for at most 64 ports. */
  readonly onNewPort: (port: number) => void;
}

const NO_FORWARDING: Forwarding = { ports: [], onNewPort: () => {} };

/** Chooses the observer of a session. @param subprotocol what the upstream chose, `""` for none */
export function createObserver(
  kind: SessionKind,
  subprotocol: string,
  terminal: boolean,
  { ports, onNewPort }: Forwarding = NO_FORWARDING,
): Observer {
  const channels = channelProtocol(subprotocol);
  switch (kind) {
    case "exec":
    case "attach":
      return channels ? new ExecObserver(channels, terminal) : new RawObserver({ unreadable: true });
    case "port-forward":
      if (subprotocol === PORT_FORWARD_TUNNEL) return new PortForwardTunnelObserver(onNewPort);
      if (channels) return new PortForwardChannelsObserver(channels, ports, onNewPort);
      return new RawObserver({ forwards: [], unreadable: true });
    case "console":
      return new RawObserver({}, (message) => [Uint8Array.from(new TextEncoder().encode(`\r\n${message}\r\n`))]);
    case "proxy":
    case "vnc":
    case "usbredir":
    case "vsock":
    case "vm-port-forward":
      return new RawObserver();
  }
}
