/**
 * Bytes of a session on their way from one side to the other, decoded once: what observers and the recorder
 * read. A whole message, or a part of one whose borders carry no meaning.
 */
export interface Chunk {
  /** Undefined where the protocol has no channels, and for a message that is no frame of its protocol. */
  readonly channel: number | undefined;
  /** Bytes of the payload. Cheaper than the payload where that has to be decoded. */
  readonly size: number;
  /** Without the channel byte, base64 decoded. A view that is valid during the call only. */
  readonly payload: Uint8Array;
  readonly isText: boolean;
}
