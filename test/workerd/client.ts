/** The client's end of a session, and the frames of its protocol. */
import { onSocketEnd } from "../../durable/websocket/socket-end.ts";

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

export class Client {
  readonly response: Response;
  readonly received: (Uint8Array | string)[] = [];
  readonly closed: Promise<Closed>;
  /** The same as a value, because a promise of another object's client cannot be awaited. */
  hungUp: Closed | undefined;
  readonly #socket: WebSocket;

  private constructor(response: Response, socket: WebSocket) {
    this.response = response;
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      this.received.push(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer));
    });
    this.closed = new Promise((resolve) => {
      onSocketEnd(socket, (code, reason) => {
        this.hungUp = { code, reason };
        resolve(this.hungUp);
      });
    });
    socket.accept({ allowHalfOpen: true });
  }

  /** Accepts the session of a 101. Throws with the refusal for any other answer. */
  static async open(answer: Response | Promise<Response>): Promise<Client> {
    const response = await answer;
    if (!response.webSocket) throw new Error(`refused with ${response.status}: ${await response.text()}`);
    return new Client(response, response.webSocket);
  }

  get sessionId(): string {
    return this.response.headers.get("Sallyport-Session") ?? "";
  }

  get protocol(): string | null {
    return this.response.headers.get("Sec-WebSocket-Protocol");
  }

  send(data: Uint8Array | string): void {
    this.#socket.send(data);
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  /** What has arrived on one channel, as text. */
  text(channel: number): string {
    const frames = this.received.filter((message) => message instanceof Uint8Array && message[0] === channel);
    return frames.map((message) => new TextDecoder().decode((message as Uint8Array).subarray(1))).join("");
  }

  /** The messages as lists of numbers, which compare and print well. */
  get bytes(): number[][] {
    return this.received.map((message) => [...(message as Uint8Array)]);
  }
}

export function frame(channel: number, payload: string | Uint8Array): Uint8Array {
  const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const message = new Uint8Array(1 + bytes.length);
  message[0] = channel;
  message.set(bytes, 1);
  return message;
}

export const SUCCESS = frame(3, JSON.stringify({ metadata: {}, status: "Success" }));
