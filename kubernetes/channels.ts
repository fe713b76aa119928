import { utf8Length } from "../common/bytes.ts";

/**
 * The channel protocols of exec, attach and the older port-forward over WebSocket.
 *
 *     binary  ┌───────────┬─────────────┐     text (base64 variants)  ┌───────────────┬────────────────┐
 *             │ channel 1 │ payload …   │                             │ '0' + channel │ base64(payload) │
 *             └───────────┴─────────────┘                             └───────────────┴────────────────┘
 *
 * Each message is one frame. The payloads of a channel form a byte stream, so frame boundaries have no
 * meaning. Sources: `httpstream/wsstream/conn.go` and `util/remotecommand/constants.go` of
 * k8s.io/apimachinery, KEP-4006.
 */

/** Channels of exec and attach. Frames of any other channel are relayed and not interpreted. */
export const Channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

export interface ChannelProtocol {
  readonly encoding: "binary" | "base64";
  /** Since v4, the error channel carries a `metav1.Status` as JSON. Before, it carried plain text. */
  readonly errorFormat: "status" | "text";
}

const PROTOCOLS: Readonly<Record<string, ChannelProtocol>> = {
  "v5.channel.k8s.io": { encoding: "binary", errorFormat: "status" },
  "v4.channel.k8s.io": { encoding: "binary", errorFormat: "status" },
  "v4.base64.channel.k8s.io": { encoding: "base64", errorFormat: "status" },
  "v3.channel.k8s.io": { encoding: "binary", errorFormat: "text" },
  "v2.channel.k8s.io": { encoding: "binary", errorFormat: "text" },
  "channel.k8s.io": { encoding: "binary", errorFormat: "text" },
  "base64.channel.k8s.io": { encoding: "base64", errorFormat: "text" },
  // Without a subprotocol, the API server uses the first version (the default protocol of wsstream).
  "": { encoding: "binary", errorFormat: "text" },
};

/** Finds the channel protocol of a WebSocket subprotocol, or undefined for tunnels, KubeVirt and the like. */
export function channelProtocol(subprotocol: string): ChannelProtocol | undefined {
  return Object.hasOwn(PROTOCOLS, subprotocol) ? PROTOCOLS[subprotocol] : undefined;
}

/**
 * The newest protocol of those offered that is known here; `""` where none is offered, which means the first
 * version. undefined where all are unknown.
 *
 * @param offered subprotocols of a WebSocket request
 */
export function newestProtocol(offered: readonly string[]): string | undefined {
  if (offered.length === 0) return "";
  return Object.keys(PROTOCOLS).find((known) => offered.includes(known));
}

export interface ChannelFrame {
  readonly channel: number;
  /**
   * Bytes of the payload, known without decoding it. Of base64 that is invalid or has line ends, an estimate.
   */
  readonly size: number;
  /**
   * Of a binary message a view. Text is encoded, and base64 decoded, when this is read; invalid base64 is
   * empty.
   */
  readonly payload: Uint8Array;
}

/** Bytes that are base64-encoded at a time: a multiple of 3, and few enough for the arguments of a call. */
const BASE64_SLICE_BYTES = 24 * 1024;
/** Characters that are base64-decoded at a time: a multiple of 4. */
const BASE64_SLICE_CHARS = 32 * 1024;
const DIGIT_ZERO = 0x30;

const utf8 = new TextEncoder();

/**
 * Decodes one message. The API server accepts text messages in binary protocols, and the Python client sends
 * its stdin so. There, the frame is the text's UTF-8 bytes.
 *
 * @returns undefined for a message without a channel, which the caller relays unread
 */
export function decodeFrame(
  protocol: ChannelProtocol,
  message: ArrayBuffer | Uint8Array | string,
): ChannelFrame | undefined {
  if (protocol.encoding === "base64") return decodeBase64Frame(message);
  const isText = typeof message === "string";
  const bytes = isText ? utf8.encode(message.slice(0, 2)) : bytesOf(message);
  const channel = bytes[0];
  if (channel === undefined) return undefined;
  return isText ? new TextFrame(channel, message) : { channel, size: bytes.length - 1, payload: bytes.subarray(1) };
}

function bytesOf(message: ArrayBuffer | Uint8Array): Uint8Array {
  return message instanceof Uint8Array ? message : new Uint8Array(message);
}

/** Most messages are not read beyond their channel, and a large one takes long to encode. */
class TextFrame implements ChannelFrame {
  readonly channel: number;
  readonly #message: string;
  #size: number | undefined;
  #payload: Uint8Array | undefined;

  /** @param message with its channel, the first byte of its UTF-8 */
  constructor(channel: number, message: string) {
    this.channel = channel;
    this.#message = message;
  }

  get size(): number {
    this.#size ??= this.#payload?.length ?? utf8Length(this.#message) - 1;
    return this.#size;
  }

  get payload(): Uint8Array {
    this.#payload ??= utf8.encode(this.#message).subarray(1);
    return this.#payload;
  }
}

function decodeBase64Frame(message: ArrayBuffer | Uint8Array | string): ChannelFrame | undefined {
  const encoded = typeof message === "string" ? message : latin1(bytesOf(message));
  const first = encoded.charCodeAt(0);
  // The API server computes with bytes. So the tenth channel is ":", and others wrap around.
  return first <= 0xff ? new Base64Frame((first - DIGIT_ZERO) & 0xff, encoded) : undefined;
}

/** See `TextFrame`. */
class Base64Frame implements ChannelFrame {
  readonly channel: number;
  readonly #message: string;
  #payload: Uint8Array | undefined;

  /** @param message with the character of its channel */
  constructor(channel: number, message: string) {
    this.channel = channel;
    this.#message = message;
  }

  get size(): number {
    if (this.#payload) return this.#payload.length;
    const padding = this.#message.endsWith("==") ? 2 : this.#message.endsWith("=") ? 1 : 0;
    return Math.max(0, Math.floor((this.#message.length - 1) / 4) * 3 - padding);
  }

  get payload(): Uint8Array {
    this.#payload ??= decodeBase64(this.#message.slice(1)) ?? new Uint8Array(0);
    return this.#payload;
  }
}

/** Decodes what Go's `base64.StdEncoding` decodes: with padding, and without white space but line ends. */
function decodeBase64(text: string): Uint8Array | undefined {
  const encoded = /[\r\n]/.test(text) ? text.replace(/[\r\n]+/g, "") : text;
  if (encoded.length % 4 !== 0) return undefined;
  const bytes = new Uint8Array((encoded.length / 4) * 3);
  let length = 0;
  for (let at = 0; at < encoded.length; at += BASE64_SLICE_CHARS) {
    const slice = encoded.slice(at, at + BASE64_SLICE_CHARS);
    const isLast = at + slice.length === encoded.length;
    // `atob` is more lenient than Go.
    if (!(isLast ? /^[A-Za-z0-9+/]*={0,2}$/ : /^[A-Za-z0-9+/]*$/).test(slice)) return undefined;
    const decoded = atob(slice);
    for (let n = 0; n < decoded.length; n++) bytes[length++] = decoded.charCodeAt(n);
  }
  return bytes.subarray(0, length);
}

/** One character for each byte. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += BASE64_SLICE_BYTES) {
    text += String.fromCharCode(...bytes.subarray(at, at + BASE64_SLICE_BYTES));
  }
  return text;
}

/**
 * Encodes one message.
 *
 * @param channel 0 to 255
 */
export function encodeFrame(
  protocol: ChannelProtocol,
  channel: number,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> | string {
  if (protocol.encoding === "base64") {
    let text = String.fromCharCode((DIGIT_ZERO + channel) & 0xff);
    for (let at = 0; at < payload.length; at += BASE64_SLICE_BYTES) {
      text += btoa(String.fromCharCode(...payload.subarray(at, at + BASE64_SLICE_BYTES)));
    }
    return text;
  }
  const message = new Uint8Array(payload.length + 1);
  message[0] = channel;
  message.set(payload, 1);
  return message;
}
