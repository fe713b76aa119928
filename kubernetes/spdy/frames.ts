import type { SpdyHeaders } from "./header-block.ts";

/**
 * SPDY/3.1 as Kubernetes tunnels it for port-forward (moby/spdystream on both ends). Two kinds of frame, told apart by
 * the first bit, both with an 8-byte head:
 *
 *     control  |1| version 15 |  type 16  |     data  |0|     stream id 31      |
 *              | flags 8 |   length 24    |           | flags 8 |   length 24   |
 *
 * Streams of the client have odd ids. FIN (flag 1) on SYN_STREAM, SYN_REPLY, HEADERS or DATA half-closes a stream.
 * spdystream neither sends nor obeys WINDOW_UPDATE, though the type is known to it.
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
 * Data of a stream. The parser hands out what has arrived, so one frame on the wire may become several of these; `fin`
 * is set only on the last. Frame borders in a stream carry no meaning, so nothing is lost.
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

export const FRAME_HEAD_BYTES = 8;
export const SPDY_VERSION = 3;

/** Numbers of the control frames on the wire (section 2.6 of the draft). */
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

/** RST_STREAM reasons that this project sends or names (section 2.6.3). */
export const RST_STATUS = { PROTOCOL_ERROR: 1, REFUSED_STREAM: 3, CANCEL: 5 } as const;

/** The value of the first header of that name, or undefined. */
export function headerValue(headers: SpdyHeaders, name: string): string | undefined {
  return headers.find(([candidate]) => candidate === name)?.[1];
}
