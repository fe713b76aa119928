/** What can be wrong with a SPDY byte stream. None is recoverable: the header context is shared by all later frames. */
export type SpdyErrorCode = "bad-version" | "bad-frame" | "frame-too-large" | "bad-header-block" | "headers-too-large";

/** A peer broke the protocol, or one of our limits. The connection cannot be read further. */
export class SpdyError extends Error {
  override readonly name = "SpdyError";
  readonly code: SpdyErrorCode;

  constructor(code: SpdyErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
