/** A frame as a WebSocket server sends it, also such as none should. @param payload Latin-1 */
export function serverFrame(opcode: number, payload: string, { fin = true } = {}): Uint8Array {
  const bytes = Buffer.from(payload, "latin1");
  const first = (fin ? 0x80 : 0) | opcode;
  const { length } = bytes;
  if (length < 126) return Uint8Array.from([first, length, ...bytes]);
  const head = Buffer.alloc(length < 0x1_0000 ? 4 : 10);
  head[0] = first;
  if (length < 0x1_0000) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Uint8Array.from(Buffer.concat([head, bytes]));
}
