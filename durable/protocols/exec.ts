import { concatBytes } from "../../common/bytes.ts";
import { Channel, type ChannelProtocol, decodeFrame, encodeFrame } from "../../kubernetes/channels.ts";
import { failureStatus, MAX_STATUS_BYTES, parseStatus, type Status } from "../../kubernetes/status.ts";
import { type Message, type Observer, sizeOf } from "./observer.ts";

/** Observes exec and attach: channels 0 to 4, and the final Status on channel 3. */
export class ExecObserver implements Observer {
  readonly lingerMs = 0;
  readonly #protocol: ChannelProtocol;
  readonly #terminal: boolean;
  /** Channel 3 is a byte stream too: its Status may arrive in pieces. */
  #errorBytes = new Uint8Array(0);

  constructor(protocol: ChannelProtocol, terminal: boolean) {
    this.#protocol = protocol;
    this.#terminal = terminal;
  }

  fromClient(message: Message): boolean {
    return sizeOf(message) > 1;
  }

  /** An empty frame is not use of the session: the API server sends one for each channel at the start. */
  fromUpstream(message: Message): boolean {
    if (this.#isErrorChannel(message)) this.#collectError(message);
    return sizeOf(message) > 1;
  }

  /** stdin, stdout and stderr with a payload. An empty frame has a meaning for some clients. */
  streamOf(message: Message): number | undefined {
    if (typeof message === "string" || this.#protocol.encoding !== "binary" || message.byteLength < 2) return undefined;
    const channel = new Uint8Array(message, 0, 1)[0];
    return channel !== undefined && channel <= Channel.stderr ? channel : undefined;
  }

  finalStatus(): Status | undefined {
    if (this.#errorBytes.length === 0) return undefined;
    if (this.#protocol.errorFormat === "status") return parseStatus(this.#errorBytes);
    return failureStatus({ reason: "InternalError", message: new TextDecoder().decode(this.#errorBytes) });
  }

  /**
   * A line on the terminal for whoever looks at it (browsers too), then the error. kubectl prints it as
   * `error: <message>` and exits 1. The error is left out after the command's own Status: kubectl reads the
   * channel as one JSON document, and two are invalid.
   */
  goodbyeFrames(message: string): (Uint8Array<ArrayBuffer> | string)[] {
    const encode = (channel: number, text: string) =>
      encodeFrame(this.#protocol, channel, new TextEncoder().encode(text));
    const error =
      this.#protocol.errorFormat === "status"
        ? JSON.stringify(failureStatus({ reason: "Forbidden", message }))
        : message;
    const line = this.#terminal ? [encode(Channel.stdout, `\r\n${message}\r\n`)] : [];
    const hasStatus = this.#protocol.errorFormat === "status" && this.finalStatus() !== undefined;
    return hasStatus ? line : [...line, encode(Channel.error, error)];
  }

  #isErrorChannel(message: Message): boolean {
    const first = typeof message === "string" ? message.charCodeAt(0) : new Uint8Array(message)[0];
    return first === (this.#protocol.encoding === "base64" ? 0x30 + Channel.error : Channel.error);
  }

  #collectError(message: Message): void {
    const frame = decodeFrame(this.#protocol, message);
    if (!frame || this.#errorBytes.length + frame.payload.length > MAX_STATUS_BYTES) return;
    this.#errorBytes = concatBytes([this.#errorBytes, frame.payload]);
  }
}
