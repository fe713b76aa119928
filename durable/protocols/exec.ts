import { CloseCode } from "../../common/close-codes.ts";
import { Channel, type ChannelProtocol, encodeFrame } from "../../kubernetes/channels.ts";
import { failureStatus, type Status, successStatus } from "../../kubernetes/status.ts";
import type { Chunk } from "./chunk.ts";
import { createErrorChannel, type ErrorChannel } from "./error-channel.ts";
import { type Notice, type Observation, type Observer, observationOf } from "./observer.ts";

/** What the API server reads. It drops messages of other channels. */
const READ_BY_CLUSTER: readonly (number | undefined)[] = [Channel.stdin, Channel.resize, Channel.close];

/** Observes exec and attach: channels 0 to 4, and the final Status on channel 3. */
export class ExecObserver implements Observer {
  readonly lingerMs = 0;
  readonly #protocol: ChannelProtocol;
  readonly #terminal: boolean;
  readonly #hasStderr: boolean;
  readonly #error: ErrorChannel;

  /** @param hasStderr whether the client asked for stderr */
  constructor(protocol: ChannelProtocol, terminal: boolean, hasStderr = false) {
    this.#hasStderr = hasStderr;
    this.#protocol = protocol;
    this.#terminal = terminal;
    this.#error = createErrorChannel(protocol);
  }

  fromClient(chunk: Chunk): Observation {
    return READ_BY_CLUSTER.includes(chunk.channel) ? observationOf(chunk) : "idle";
  }

  /** An empty frame is not use of the session: the API server sends one for each channel at the start. */
  fromUpstream(chunk: Chunk): Observation {
    if (chunk.channel === Channel.error) this.#error.push(chunk.payload);
    return observationOf(chunk);
  }

  /** Not after the Status, which is the last that kubectl reads. */
  noticeFrames({ line, onlyTerminal, isBeforeCommand }: Notice): (Uint8Array<ArrayBuffer> | string)[] {
    if (this.finalStatus() !== undefined) return [];
    const encode = (channel: number, text: string) => [
      encodeFrame(this.#protocol, channel, new TextEncoder().encode(text)),
    ];
    if (this.#terminal) return encode(Channel.stdout, `${isBeforeCommand ? "" : "\r\n"}${line}\r\n`);
    return (this.#hasStderr || isBeforeCommand) && !onlyTerminal ? encode(Channel.stderr, `${line}\n`) : [];
  }

  finalStatus(clusterCloseCode?: number): Status | undefined {
    const isSilentSuccess = this.#protocol.errorFormat === "text" && clusterCloseCode === CloseCode.normal;
    return this.#error.status ?? (isSilentSuccess ? successStatus() : undefined);
  }

  /**
   * The error, which kubectl prints as `error: <message>`, and exits 1. A terminal begins a new line for it.
   * It has the message itself where the client may not show the error: in a browser, and after the command's
   * own Status, for kubectl reads the error channel as one JSON document, and two are invalid.
   */
  goodbyeFrames(message: string): (Uint8Array<ArrayBuffer> | string)[] {
    const encode = (channel: number, text: string) =>
      encodeFrame(this.#protocol, channel, new TextEncoder().encode(text));
    const error =
      this.#protocol.errorFormat === "status"
        ? JSON.stringify(failureStatus({ reason: "Forbidden", message }))
        : message;
    const hasStatus = this.#protocol.errorFormat === "status" && this.finalStatus() !== undefined;
    const isErrorShown = this.#protocol.encoding === "binary" && !hasStatus;
    const shown = isErrorShown ? "\r\n" : `\r\n${message}\r\n`;
    const line = this.#terminal ? [encode(Channel.stdout, shown)] : [];
    return hasStatus ? line : [...line, encode(Channel.error, error)];
  }
}
