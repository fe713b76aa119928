import { concatBytes } from "../../common/bytes.ts";
import { Channel, type ChannelProtocol, encodeFrame } from "../../kubernetes/channels.ts";
import { failureStatus, MAX_STATUS_BYTES, parseStatus, type Status } from "../../kubernetes/status.ts";
import type { Chunk } from "./chunk.ts";
import { type Observation, type Observer, observationOf } from "./observer.ts";

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

  fromClient(chunk: Chunk): Observation {
    return observationOf(chunk);
  }

  /** An empty frame is not use of the session: the API server sends one for each channel at the start. */
  fromUpstream(chunk: Chunk): Observation {
    if (chunk.channel === Channel.error) this.#collectError(chunk.payload);
    return observationOf(chunk);
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

  #collectError(payload: Uint8Array): void {
    if (this.#errorBytes.length + payload.length > MAX_STATUS_BYTES) return;
    this.#errorBytes = concatBytes([this.#errorBytes, payload]);
  }
}
