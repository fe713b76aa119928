/** What RFC 6455 fixes: opcodes, and the shape of a frame. Close codes are in common/close-codes.ts. */

/**
 *      0                   1                   2                   3
 *     +-+-+-+-+-------+-+-------------+-------------------------------+
 *     |F|R|R|R| opcode|M| length (7)  |  extended length (16 or 64)   |
 *     |I|S|S|S|  (4)  |A|             |  where length is 126 or 127   |
 *     |N|V|V|V|       |S|             |                               |
 *     +-+-+-+-+-------+-+-------------+-------------------------------+
 *     | masking key, 4 bytes, from a client only                      |
 *     +---------------------------------------------------------------+
 *     | payload …                                                     |
 */
export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export type DataOpcode = typeof Opcode.text | typeof Opcode.binary;

export const FIN = 0x80;
export const RESERVED_BITS = 0x70;
export const OPCODE_BITS = 0x0f;
export const MASKED = 0x80;
export const LENGTH_BITS = 0x7f;
/** Section 5.5: control frames carry at most so much, and are never fragmented. */
export const MAX_CONTROL_BYTES = 125;

/** The peer broke RFC 6455. `closeCode` is what section 7.4.1 answers it with. */
export class WebSocketProtocolError extends Error {
  override readonly name = "WebSocketProtocolError";
  readonly closeCode: number;

  constructor(closeCode: number, message: string) {
    super(message);
    this.closeCode = closeCode;
  }
}
