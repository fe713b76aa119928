import type { PortForwardPolicy } from "../../contract/limits.ts";
import { Channel, type ChannelProtocol, channelProtocol, newestProtocol } from "../../kubernetes/channels.ts";
import type { SessionKind } from "../../kubernetes/session-target.ts";
import { ChannelTap, type CreateTap, RawTap } from "../recording/tap.ts";
import type { HeldInput } from "../upstream/held-leg.ts";
import { ExecObserver } from "./exec.ts";
import type { Framing } from "./framing.ts";
import type { Observer } from "./observer.ts";
import { PortForwardChannelsObserver } from "./port-forward-channels.ts";
import { PORT_FORWARD_TUNNEL, PortForwardTunnelObserver, unreadablePortForward } from "./port-forward-tunnel.ts";
import { RawObserver } from "./raw.ts";

/** What the observer of a session may need. */
export interface ObservedSession {
  /** What `KindOfSession.framing` returned. */
  readonly framing: Framing;
  readonly terminal: boolean;
  /** Whether the client asked for stderr. */
  readonly stderr: boolean;
  /** The ports named in the request; kubectl names none there. */
  readonly ports: readonly number[];
  /** Called when a port is first used, for at most 64 ports. */
  readonly onNewPort: (port: number) => void;
  readonly portForward: PortForwardPolicy;
}

/** How a kind of session is held: before the cluster is asked, and while nobody watches it. */
export interface Holding {
  /**
   * What to tell the client that the cluster speaks, before it was asked. It is then offered that alone.
   *
   * @param offered by the client
   * @returns `""` for none; undefined where nothing offered is known
   */
  subprotocol(offered: readonly string[]): string | undefined;
  /** What becomes of what the client sends. */
  input(subprotocol: string, isTerminal: boolean): HeldInput;
}

/** All that is particular to one kind of session. */
export interface KindOfSession {
  /** @param subprotocol what the upstream chose, `""` for none */
  framing(subprotocol: string): Framing;
  createObserver(session: ObservedSession): Observer;
  /** Absent where there is no terminal that could be recorded: tunnels and screens. */
  recorder?(framing: Framing): CreateTap;
  /** Whether its far end is a terminal, with a driver of its own, whatever the request says. */
  readonly isTerminal?: true;
  /** Absent where a session cannot be held: one that must wait, or be watched, is refused. */
  readonly holding?: Holding;
}

const MESSAGES: Framing = { kind: "messages" };
const STORED: HeldInput = { kind: "stored" };
const KUBEVIRT_PROTOCOL = "plain.kubevirt.io";

const recordChannels: CreateTap = (writer, withInput) => new ChannelTap(writer, withInput);
const recordAll: CreateTap = (writer, withInput) => new RawTap(writer, withInput);

const EXEC: KindOfSession = {
  framing(subprotocol) {
    const protocol = channelProtocol(subprotocol);
    // The Status and resizes are streams too, but short ones; and `[255, id]` of v5 is no stream.
    return protocol ? { kind: "channels", protocol, isStream: (channel) => channel <= Channel.stderr } : MESSAGES;
  },
  createObserver({ framing, terminal, stderr }) {
    return framing.kind === "channels"
      ? new ExecObserver(framing.protocol, terminal, stderr)
      : new RawObserver({ unreadable: true });
  },
  // A future protocol of exec is recorded as it comes: an odd cast is better than none.
  recorder: ({ kind }) => (kind === "channels" ? recordChannels : recordAll),
  holding: {
    subprotocol: newestProtocol,
    input: (subprotocol, isTerminal) => (isTerminal ? typedInto(channelProtocol(subprotocol)) : STORED),
  },
};

const PORT_FORWARD: KindOfSession = {
  framing(subprotocol) {
    if (subprotocol === PORT_FORWARD_TUNNEL) return { kind: "bytes" };
    const protocol = channelProtocol(subprotocol);
    return protocol ? { kind: "channels", protocol, isStream: () => false } : MESSAGES;
  },
  createObserver({ framing, ports, onNewPort, portForward: { onUnreadable } }) {
    switch (framing.kind) {
      case "bytes":
        return new PortForwardTunnelObserver(onNewPort, onUnreadable);
      case "channels":
        return new PortForwardChannelsObserver(framing.protocol, ports, onNewPort);
      case "messages":
        return onUnreadable === "end"
          ? new RawObserver({ forwards: [] }, undefined, unreadablePortForward("an unknown protocol"))
          : new RawObserver({ forwards: [], unreadable: true });
    }
  },
  holding: {
    subprotocol: (offered) => (offered.includes(PORT_FORWARD_TUNNEL) ? PORT_FORWARD_TUNNEL : newestProtocol(offered)),
    // kubectl and the kubelet ping each other inside the tunnel.
    input: (subprotocol) => (subprotocol === PORT_FORWARD_TUNNEL ? { kind: "spdy" } : STORED),
  },
};

/**
 * Bytes that nobody here reads. Each message stays whole: of a virtual machine's port over UDP it is a
 * datagram, and older versions of virtctl read the first 10 KiB of a message and drop the rest.
 */
const OPAQUE: KindOfSession = {
  framing: () => MESSAGES,
  createObserver: () => new RawObserver(),
};

/** A virtual machine's screen or tunnel: what is sent is part of a protocol, of which nothing may be lost. */
const VM_STREAM: KindOfSession = { ...OPAQUE, holding: { subprotocol: vmProtocol, input: () => STORED } };

const CONSOLE: KindOfSession = {
  framing: () => MESSAGES,
  createObserver: () =>
    new RawObserver({}, (message) => [Uint8Array.from(new TextEncoder().encode(`\r\n${message}\r\n`))]),
  recorder: () => recordAll,
  isTerminal: true,
  holding: { subprotocol: vmProtocol, input: () => typedInto(undefined) },
};

export const KINDS_OF_SESSIONS: Readonly<Record<SessionKind, KindOfSession>> = {
  exec: EXEC,
  attach: EXEC,
  "port-forward": PORT_FORWARD,
  // Which protocol a workload speaks, the workload alone knows.
  proxy: OPAQUE,
  console: CONSOLE,
  vnc: VM_STREAM,
  usbredir: VM_STREAM,
  vsock: VM_STREAM,
  "vm-port-forward": VM_STREAM,
};

/** The only one that KubeVirt knows. Without an offer it chooses none. */
function vmProtocol(offered: readonly string[]): string | undefined {
  return offered.length === 0 ? "" : offered.find((protocol) => protocol === KUBEVIRT_PROTOCOL);
}

function typedInto(protocol: ChannelProtocol | undefined): HeldInput {
  return { kind: "typed", ...(protocol && { protocol }) };
}
