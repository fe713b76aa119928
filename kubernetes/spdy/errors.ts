/**
 * The errors of a SPDY byte stream. None is recoverable, because all later frames share the header context.
 */
export type SpdyErrorCode =
  | "bad-version"
  | "bad-frame"
  | "unexpected-frame"
  | "frame-too-large"
  | "bad-header-block"
  | "headers-too-large"
  | "too-much-work";

/** A peer violated the protocol, or exceeded a limit. The rest of the connection cannot be parsed. */
export class SpdyError extends Error {
  override readonly name = "SpdyError";
  readonly code: SpdyErrorCode;

  /** @param message completes "cannot be read: …" */
  constructor(code: SpdyErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
