import { concatBytes } from "../../common/bytes.ts";
import {
  CONTROL_TYPE,
  FLAG_CLEAR_SETTINGS,
  FLAG_FIN,
  FLAG_UNIDIRECTIONAL,
  SPDY_VERSION,
  type SpdyFrame,
} from "./frames.ts";
import { type HeaderBlockWriter, uint32 } from "./header-block.ts";

/**
 * Encodes one frame.
 *
 * @param headers the writer of this direction of the connection. Frames with a header block advance it, so
 *   frames must be sent in the order in which they were encoded.
 */
export function encodeFrame(frame: SpdyFrame, headers: HeaderBlockWriter): Uint8Array {
  const fin = "fin" in frame && frame.fin ? FLAG_FIN : 0;
  switch (frame.type) {
    case "DATA":
      return concatBytes([encodeDataHead(frame.streamId, frame.data.length, frame.fin), frame.data]);
    case "SYN_STREAM":
      return control(frame.type, fin | (frame.unidirectional ? FLAG_UNIDIRECTIONAL : 0), [
        uint32(frame.streamId),
        uint32(frame.associatedStreamId),
        Uint8Array.of(frame.priority << 5, 0),
        headers.write(frame.headers),
      ]);
    case "SYN_REPLY":
    case "HEADERS":
      return control(frame.type, fin, [uint32(frame.streamId), headers.write(frame.headers)]);
    case "RST_STREAM":
      return control(frame.type, 0, [uint32(frame.streamId), uint32(frame.status)]);
    case "SETTINGS":
      return control(frame.type, frame.clearPersisted ? FLAG_CLEAR_SETTINGS : 0, [
        uint32(frame.settings.length),
        ...frame.settings.flatMap(({ flags, id, value }) => [
          Uint8Array.of(flags, id >>> 16, id >>> 8, id),
          uint32(value),
        ]),
      ]);
    case "PING":
      return control(frame.type, 0, [uint32(frame.id)]);
    case "GOAWAY":
      return control(frame.type, 0, [uint32(frame.lastStreamId), uint32(frame.status)]);
    case "WINDOW_UPDATE":
      return control(frame.type, 0, [uint32(frame.streamId), uint32(frame.delta)]);
  }
}

/** Encodes the 8-byte header of a DATA frame, for callers that send the data separately without a copy. */
export function encodeDataHead(streamId: number, length: number, fin: boolean): Uint8Array {
  return concatBytes([uint32(streamId), Uint8Array.of(fin ? FLAG_FIN : 0, length >>> 16, length >>> 8, length)]);
}

function control(type: keyof typeof CONTROL_TYPE, flags: number, body: readonly Uint8Array[]): Uint8Array {
  const length = body.reduce((sum, part) => sum + part.length, 0);
  const head = concatBytes([
    uint32(((0x8000 | SPDY_VERSION) << 16) | CONTROL_TYPE[type]),
    Uint8Array.of(flags, length >>> 16, length >>> 8, length),
  ]);
  return concatBytes([head, ...body]);
}
