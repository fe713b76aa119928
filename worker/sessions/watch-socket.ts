/**
 * A watch over a WebSocket. Its socket is the edge's own: one of the object's that is returned as it came ends
 * the invocation, timers and all, and nothing would look whether the watcher still may.
 *
 * The object is asked for a stream of lines. Between two sockets it would never learn what the watcher has read,
 * and everything that is slow to be read would wait here.
 */
import { CloseCode, closeQuietly } from "../../common/close-codes.ts";
import { CAST_SUBPROTOCOL, MAX_WATCHER_MESSAGES, TOO_MANY_MESSAGES, WATCH_LINGER_MS } from "../../contract/watch.ts";
import type { Denial } from "../denials.ts";
import { AccessWatch, type CheckAccess, isUnanswered } from "./access-watch.ts";
import { type MeasuredSocket, UnreadMeter } from "./unread-meter.ts";

/** How much of the stream is read at once. */
const READ_BYTES = 64 * 1024;
/** The platform has no event for "has read": it is asked, ever less often while nothing happens. */
const FIRST_POLL_MS = 1;
const MAX_POLL_MS = 100;

export interface ShownWatch {
  /** As the object sends them. They end with the session, and break off for any other reason. */
  readonly lines: ReadableStream<Uint8Array>;
  readonly checkAccess: CheckAccess;
  /** Ends the object's watch at once. It would notice with the next line only that nobody reads. */
  readonly leave: () => void;
}

/** As much of a WebSocket as it takes. */
export interface WatcherSocket extends MeasuredSocket {
  accept(): void;
  send(message: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "close", listener: (event: { readonly code: number }) => void): void;
  addEventListener(type: "error" | "message", listener: () => void): void;
}

/** Makes the 101 of a watch. It must be the answer of this invocation, which then lives as long as the watch. */
export function answerWithSocket(watch: ShownWatch): Response {
  const { 0: client, 1: socket } = new WebSocketPair();
  void new WatchSocket(socket, watch).run();
  const headers = { "Sec-WebSocket-Protocol": CAST_SUBPROTOCOL };
  return new Response(null, { status: 101, webSocket: client, headers });
}

/** Whether the runtime says how much the reader of a WebSocket has left unread. */
export function canMeasureSockets(): boolean {
  return new WebSocketPair()[1].bufferedAmount !== undefined;
}

type StreamEnd = "complete" | "broken" | "stalled";

/** The watcher's end of a watch. */
export class WatchSocket {
  readonly #socket: WatcherSocket;
  readonly #watch: ShownWatch;
  readonly #access: AccessWatch;
  readonly #meter: UnreadMeter;
  #messages = 0;
  #isOver = false;

  constructor(socket: WatcherSocket, watch: ShownWatch) {
    this.#socket = socket;
    this.#watch = watch;
    this.#meter = new UnreadMeter(socket, Date.now());
    this.#access = new AccessWatch(watch.checkAccess);
  }

  /** Sends each line as a message, without its line feed: asciinema-player parses a message as JSON. */
  async run(): Promise<void> {
    this.#listen();
    const end = await this.#showLines();
    if (!this.#isOver) await this.#endAfter(end);
  }

  #listen(): void {
    const socket = this.#socket;
    socket.addEventListener("close", ({ code }) => {
      this.#end(code === CloseCode.noStatus ? CloseCode.normal : code);
    });
    socket.addEventListener("error", () => this.#end(CloseCode.goingAway));
    socket.addEventListener("message", () => {
      if (++this.#messages > MAX_WATCHER_MESSAGES) this.#end(CloseCode.normal, TOO_MANY_MESSAGES);
    });
    this.#access.signal.addEventListener("abort", () => this.#endRefused(this.#access.denial));
    socket.accept();
  }

  async #showLines(): Promise<StreamEnd> {
    const reader = this.#watch.lines.getReader({ mode: "byob" });
    const decoder = new TextDecoder();
    let rest = "";
    for (let buffer = new Uint8Array(READ_BYTES); await this.#waitForRoom(); ) {
      const read = await reader.read(buffer).catch(() => undefined);
      if (!read) return "broken";
      if (read.done) return "complete";
      rest = this.#sendLines(rest + decoder.decode(read.value, { stream: true }));
      buffer = new Uint8Array(read.value.buffer);
    }
    return "stalled";
  }

  /** @returns what is no whole line yet */
  #sendLines(text: string): string {
    this.#meter.look(Date.now());
    let from = 0;
    try {
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
        this.#socket.send(text.slice(from, end));
        from = end + 1;
      }
    } catch {
      // The socket closed under us; its close event follows.
    }
    this.#meter.noteSent();
    return text.slice(from);
  }

  /** @returns whether the watcher is to be sent more */
  async #waitForRoom(): Promise<boolean> {
    for (let pollMs = FIRST_POLL_MS; !this.#isOver; pollMs = Math.min(pollMs * 2, MAX_POLL_MS)) {
      const now = Date.now();
      this.#meter.look(now);
      if (this.#meter.isStalled(now)) return false;
      if (!this.#meter.isFull) return true;
      await new Promise<void>((resolve) => setTimeout(resolve, pollMs));
    }
    return false;
  }

  /** asciinema-player connects again after any other code than 1000. */
  async #endAfter(end: StreamEnd): Promise<void> {
    switch (end) {
      case "complete":
        await new Promise<void>((resolve) => setTimeout(resolve, WATCH_LINGER_MS));
        return this.#end(CloseCode.normal, "the session is over: its last line says how");
      case "stalled":
        return this.#end(CloseCode.tryAgainLater, "the watcher stopped reading");
      case "broken": {
        // The object may have heard of a lock before the edge.
        const checked = await this.#watch.checkAccess(0);
        if (!checked.ok) return this.#endRefused(checked.error);
        return this.#end(CloseCode.tryAgainLater, "the watch broke off: try again");
      }
    }
  }

  /** Where nobody answered, the next watch asks again before it shows anything. */
  #endRefused(why: Denial | undefined): void {
    const canReturn = why !== undefined && isUnanswered(why);
    this.#end(canReturn ? CloseCode.tryAgainLater : CloseCode.normal, why?.message);
  }

  #end(code: number, reason?: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#access.stop();
    closeQuietly(this.#socket, code, reason);
    this.#watch.leave();
  }
}
