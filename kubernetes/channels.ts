/**
 * The channel protocols of exec, attach and the older port-forward over WebSocket.
 *
 *     binary  ┌───────────┬─────────────┐     text (base64 variants)  ┌───────────────┬────────────────┐
 *             │ channel 1 │ payload …   │                             │ '0' + channel │ base64(payload) │
 *             └───────────┴─────────────┘                             └───────────────┴────────────────┘
 *
 * Each message is one frame; per channel the payloads form a byte stream, so frame borders carry no
 * meaning. Sources: k8s.io/apimachinery `httpstream/wsstream/conn.go`, k8s.io/apimachinery
 * `util/remotecommand/constants.go`, KEP-4006.
 */

/** Channels of exec and attach. Closed: an upstream that invents one is relayed but not understood. */
export const Channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

export interface ChannelProtocol {
  readonly encoding: "binary" | "base64";
  /** Since v4 the error channel carries a `metav1.Status` as JSON; before, an error's bare text. */
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
  // No subprotocol at all means the first version, binary (wsstream's default protocol).
  "": { encoding: "binary", errorFormat: "text" },
};

/** The channel protocol that a subprotocol names, or undefined where it names none (tunnels, KubeVirt). */
export function channelProtocol(subprotocol: string): ChannelProtocol | undefined {
  return Object.hasOwn(PROTOCOLS, subprotocol) ? PROTOCOLS[subprotocol] : undefined;
}

export interface ChannelFrame {
  readonly channel: number;
  readonly payload: Uint8Array;
}

/** Base64 is made of so many bytes at a time: a multiple of 3, and few enough to be a function's arguments. */
const BASE64_SLICE_BYTES = 24 * 1024;

const utf8 = new TextEncoder();

/**
 * Reads one message. The API server does not look whether it is text or binary, and the Python client sends its stdin as
 * text in binary protocols: so a text's UTF-8 bytes are read there.
 *
 * @returns undefined for a message that is no frame (empty, bad base64): the caller relays it and draws no conclusion
 *   from it
 */
export function decodeFrame(protocol: ChannelProtocol, message: ArrayBuffer | string): ChannelFrame | undefined {
  if (protocol.encoding === "base64") {
    return decodeText(typeof message === "string" ? message : new TextDecoder().decode(message));
  }
  const bytes = typeof message === "string" ? utf8.encode(message) : new Uint8Array(message);
  const channel = bytes[0];
  return channel === undefined ? undefined : { channel, payload: bytes.subarray(1) };
}

function decodeText(text: string): ChannelFrame | undefined {
  const channel = text.charCodeAt(0) - 0x30;
  if (!(channel >= 0 && channel <= 9)) return undefined;
  let decoded: string;
  try {
    decoded = atob(text.slice(1));
  } catch {
    return undefined;
  }
  const payload = new Uint8Array(decoded.length);
  for (let at = 0; at < payload.length; at++) payload[at] = decoded.charCodeAt(at);
  return { channel, payload };
}

/** Builds one message for a channel. The base64 variants know channels 0 to 9 only. */
export function encodeFrame(
  protocol: ChannelProtocol,
  channel: number,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> | string {
  if (protocol.encoding === "base64") {
    let text = String.fromCharCode(0x30 + channel);
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
