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

export interface ChannelFrame {
  readonly channel: number;
  readonly payload: Uint8Array;
}

/** Bytes that are base64-encoded at a time: a multiple of 3, and few enough for the arguments of a call. */
const BASE64_SLICE_BYTES = 24 * 1024;

const utf8 = new TextEncoder();

/**
 * Decodes one message. The API server accepts text messages in binary protocols, and the Python client sends
 * its stdin so. There, the frame is the text's UTF-8 bytes.
 *
 * @returns undefined for a message that is no frame (empty, invalid base64), which the caller relays unread
 */
export function decodeFrame(
  protocol: ChannelProtocol,
  message: ArrayBuffer | Uint8Array | string,
): ChannelFrame | undefined {
  if (protocol.encoding === "base64") {
    return decodeBase64Frame(typeof message === "string" ? message : new TextDecoder().decode(message));
  }
  const bytes = bytesOf(message);
  const channel = bytes[0];
  return channel === undefined ? undefined : { channel, payload: bytes.subarray(1) };
}

function bytesOf(message: ArrayBuffer | Uint8Array | string): Uint8Array {
  if (typeof message === "string") return utf8.encode(message);
  return message instanceof Uint8Array ? message : new Uint8Array(message);
}

function decodeBase64Frame(text: string): ChannelFrame | undefined {
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

/**
 * Encodes one message.
 *
 * @param channel 0 to 255, in the base64 variants 0 to 9
 */
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
