import type { SpdyHeaders } from "./header-block.ts";

/**
 * SPDY/3.1 as Kubernetes tunnels it for port-forward, with moby/spdystream on both ends. The first bit
 * distinguishes the two kinds of frame, which both have an 8-byte header:
 *
 *     control  |1| version 15 |  type 16  |     data  |0|     stream id 31      |
 *              | flags 8 |   length 24    |           | flags 8 |   length 24   |
 *
 * Streams of the client have odd ids. FIN (flag 1) on SYN_STREAM, SYN_REPLY, HEADERS or DATA half-closes a
 * stream. spdystream knows WINDOW_UPDATE, but neither sends nor applies it.
 */
export type SpdyFrame =
  | SynStreamFrame
  | { readonly type: "SYN_REPLY"; readonly streamId: number; readonly fin: boolean; readonly headers: SpdyHeaders }
  | { readonly type: "RST_STREAM"; readonly streamId: number; readonly status: number }
  | { readonly type: "SETTINGS"; readonly clearPersisted: boolean; readonly settings: readonly SpdySetting[] }
  | { readonly type: "PING"; readonly id: number }
  | { readonly type: "GOAWAY"; readonly lastStreamId: number; readonly status: number }
  | { readonly type: "HEADERS"; readonly streamId: number; readonly fin: boolean; readonly headers: SpdyHeaders }
  | { readonly type: "WINDOW_UPDATE"; readonly streamId: number; readonly delta: number }
  | DataFrame;

export interface SynStreamFrame {
  readonly type: "SYN_STREAM";
  readonly streamId: number;
  readonly associatedStreamId: number;
  /** 0 (highest) to 7. */
  readonly priority: number;
  readonly fin: boolean;
  readonly unidirectional: boolean;
  readonly headers: SpdyHeaders;
}

/**
 * Data of a stream. The parser returns data as it arrives, so one frame on the wire may become several of
 * these; only the last one has `fin`. Frame boundaries in a stream have no meaning, so nothing is lost.
 */
export interface DataFrame {
  readonly type: "DATA";
  readonly streamId: number;
  readonly fin: boolean;
  readonly data: Uint8Array;
}

export interface SpdySetting {
  readonly flags: number;
  readonly id: number;
  readonly value: number;
}

export const FRAME_HEADER_BYTES = 8;
export const SPDY_VERSION = 3;

/** Types of the control frames on the wire (section 2.6 of the draft). */
export const CONTROL_TYPE: Record<Exclude<SpdyFrame["type"], "DATA">, number> = {
  SYN_STREAM: 1,
  SYN_REPLY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  HEADERS: 8,
  WINDOW_UPDATE: 9,
};

export const FLAG_FIN = 0x01;
export const FLAG_UNIDIRECTIONAL = 0x02;
export const FLAG_CLEAR_SETTINGS = 0x01;

/** Status codes of RST_STREAM that this project uses (section 2.6.3). */
export const RST_STATUS = { PROTOCOL_ERROR: 1, REFUSED_STREAM: 3, CANCEL: 5 } as const;

/** Returns the value of the first header with this name, or undefined. */
export function headerValue(headers: SpdyHeaders, name: string): string | undefined {
  return headers.find(([candidate]) => candidate === name)?.[1];
}
