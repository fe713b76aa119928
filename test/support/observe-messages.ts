import type { Traffic } from "../../audit/events.ts";
import type { PortForwardPolicy } from "../../contract/limits.ts";
import { decodeMessage, type Framing, type Message } from "../../durable/protocols/framing.ts";
import { KINDS_OF_SESSIONS } from "../../durable/protocols/kinds.ts";
import type { Observation, Observer } from "../../durable/protocols/observer.ts";
import type { SessionKind } from "../../kubernetes/session-target.ts";
import type { Status } from "../../kubernetes/status.ts";

interface ForwardOptions extends Partial<PortForwardPolicy> {
  readonly ports?: readonly number[];
  readonly onNewPort?: (port: number) => void;
}

/** A session's observer that is given whole messages, decoded by the framing of its kind. */
export class MessageObserver {
  readonly framing: Framing;
  readonly observer: Observer;

  constructor(
    kind: SessionKind,
    subprotocol: string,
    terminal = false,
    { ports = [], onNewPort = () => {}, onUnreadable = "end" }: ForwardOptions = {},
  ) {
    this.framing = KINDS_OF_SESSIONS[kind].framing(subprotocol);
    this.observer = KINDS_OF_SESSIONS[kind].createObserver({
      framing: this.framing,
      terminal,
      stderr: true,
      ports,
      onNewPort,
      portForward: { onUnreadable },
    });
  }

  fromClient(message: Message | Uint8Array): Observation {
    return this.observer.fromClient(decodeMessage(this.framing, message));
  }

  fromUpstream(message: Message | Uint8Array): Observation {
    return this.observer.fromUpstream(decodeMessage(this.framing, message));
  }

  finalStatus(clusterCloseCode?: number): Status | undefined {
    return this.observer.finalStatus(clusterCloseCode);
  }

  goodbyeFrames(message: string): (Uint8Array<ArrayBuffer> | string)[] {
    return this.observer.goodbyeFrames(message);
  }

  traffic(): Traffic | undefined {
    return this.observer.traffic?.();
  }

  get lingerMs(): number {
    return this.observer.lingerMs;
  }

  get messageInCloseReason(): true | undefined {
    return this.observer.messageInCloseReason;
  }
}
