/** A watcher with more than this unread is sent nothing. */
export const FULL_BYTES = 128 * 1024;

/** Where a watcher's lines go. */
export interface WatchSink {
  /** Bytes that were sent and not taken. */
  readonly unsentBytes: number;
  /** Bytes that were taken. */
  readonly takenBytes: number;
  /**
   * @param text whole lines of a cast, each with its line feed
   * @param bytes of its UTF-8
   */
  send(text: string, bytes: number): void;
  /** The watcher has been sent everything. */
  end(message: string): void;
  /**
   * Breaks the watch off, so that nobody takes it for all.
   *
   * @param canReturn whether coming back would help
   */
  drop(message: string, canReturn: boolean): void;
}
