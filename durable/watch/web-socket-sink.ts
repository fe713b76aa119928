/** A WebSocket as what a watcher's lines go to. */
import { CloseCode, closeQuietly } from "../../common/close-codes.ts";
import { MAX_WATCHER_MESSAGES, TOO_MANY_MESSAGES, WATCH_LINGER_MS } from "../../contract/watch.ts";
import type { WatchSink } from "./watch-sink.ts";

/** Sends each line as a message, without its line feed: asciinema-player parses a message as JSON. */
export class WebSocketSink implements WatchSink {
  readonly #socket: WebSocket;
  #messages = 0;
  #sentBytes = 0;

  /** @param onGone called once the other side has closed or left */
  constructor(socket: WebSocket, onGone: () => void) {
    this.#socket = socket;
    socket.addEventListener("close", ({ code }) => {
      closeQuietly(socket, code === CloseCode.noStatus ? CloseCode.normal : code);
      onGone();
    });
    socket.addEventListener("error", onGone);
    socket.addEventListener("message", () => {
      if (++this.#messages <= MAX_WATCHER_MESSAGES) return;
      closeQuietly(socket, CloseCode.normal, TOO_MANY_MESSAGES);
      onGone();
    });
    socket.accept();
  }

  get unsentBytes(): number {
    return this.#socket.bufferedAmount ?? 0;
  }

  get takenBytes(): number {
    return this.#sentBytes - this.unsentBytes;
  }

  send(text: string, bytes: number): void {
    this.#sentBytes += bytes;
    try {
      for (let from = 0; from < text.length; ) {
        const end = text.indexOf("\n", from);
        this.#socket.send(text.slice(from, end));
        // Its line feed is not sent.
        this.#sentBytes--;
        from = end + 1;
      }
    } catch {
      // The socket closed under us; its close event follows.
    }
  }

  end(message: string): void {
    setTimeout(() => closeQuietly(this.#socket, CloseCode.normal, message), WATCH_LINGER_MS);
  }

  drop(message: string, canReturn: boolean): void {
    closeQuietly(this.#socket, canReturn ? CloseCode.tryAgainLater : CloseCode.normal, message);
  }
}
