/** One session as its client sees it: everything that the audit log is compared with. */
import { WebSocket } from "ws";
import type { Person } from "./people.ts";
import { type KindFacts, kindFacts, type SessionKind, ticksIn } from "./session-kinds.ts";

const HANDSHAKE_MS = 45_000;
const SAMPLE_MS = 500;
const OUTPUT_CHANNEL = 1;
const ERROR_CHANNEL = 3;
const KEYSTROKE_BYTES = 1;
const FORWARDED_BYTES = 256;
/** Two seconds of a counter's output. */
const KEPT_LAGS = 20;
/** Longer than a line of a counter. */
const LINE_CHARS = 64;

export interface Traffic {
  readonly messages: number;
  readonly bytes: number;
}

/** The session's traffic at some time. */
export interface Sample {
  readonly at: number;
  readonly received: Traffic;
}

/** How the client ended the session. */
export type Departure = "half-close" | "close" | "terminate";

export class ClientSession {
  readonly kind: SessionKind;
  readonly email: string;
  readonly exitCode: number;
  readonly attemptedAt = Date.now();
  /** Resolves to whether the session was opened. */
  readonly opened: Promise<boolean>;
  readonly ended: Promise<void>;
  readonly samples: Sample[] = [];
  /** Round trips of its keystrokes, ms. */
  readonly echoMs: number[] = [];
  id: string | undefined;
  openedAt: number | undefined;
  endedAt: number | undefined;
  closeCode: number | undefined;
  refusal: { readonly status: number; readonly body: string } | undefined;
  departure: Departure | undefined;
  /** Whether an administrator's request to end it was sent, and whether the answer confirmed it. */
  termination: "asked" | "confirmed" | undefined;
  sent: Traffic = { messages: 0, bytes: 0 };
  received: Traffic = { messages: 0, bytes: 0 };
  firstTickAt: number | undefined;
  /** Time in the last line that arrived from a counter, ms since the epoch. */
  tickAt: number | undefined;
  /** Delay of the counter's last lines, ms: what a busy machine adds to everything. */
  readonly tickLagsMs: number[] = [];
  /** Channel 3, as text. */
  error = "";
  readonly #facts: KindFacts;
  readonly #timers: NodeJS.Timeout[] = [];
  #socket: WebSocket | undefined;
  #typedAt: number | undefined;
  #awaited = 0;
  #line = "";
  #wasEnded = () => {};
  #wasOpened = (_: boolean) => {};

  constructor(kind: SessionKind, person: Person, exitCode = 0) {
    this.kind = kind;
    this.email = person.email;
    this.exitCode = exitCode;
    this.#facts = kindFacts(kind, exitCode);
    this.opened = new Promise((resolve) => {
      this.#wasOpened = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#wasEnded = resolve;
    });
    void this.#connect(person);
  }

  get isOpen(): boolean {
    return this.openedAt !== undefined && this.endedAt === undefined;
  }

  get isFinite(): boolean {
    return this.#facts.finite;
  }

  /** Ends the session. `half-close` is what kubectl does at the end of its input. */
  leave(how: Departure): void {
    if (!this.isOpen || this.departure) return;
    this.departure = how;
    for (const timer of this.#timers) clearInterval(timer);
    if (how === "half-close") this.#send(Buffer.of(255, 0));
    else if (how === "close") this.#socket?.close(1000);
    else this.#socket?.terminate();
  }

  /** Whether half-closing its input makes its command end. */
  get endsWithInput(): boolean {
    return this.kind === "echo";
  }

  /** Ends the connection at the end of a run, without being checked. */
  abandon(): void {
    this.departure ??= "terminate";
    this.#socket?.terminate();
  }

  /** The exit code that arrived on channel 3. */
  get receivedExitCode(): number | undefined {
    if (this.error === "") return undefined;
    try {
      const status = JSON.parse(this.error) as {
        status?: string;
        details?: { causes?: { reason?: string; message?: string }[] };
      };
      if (status.status === "Success") return 0;
      const cause = status.details?.causes?.find(({ reason }) => reason === "ExitCode");
      return cause?.message === undefined ? undefined : Number(cause.message);
    } catch {
      return undefined;
    }
  }

  async #connect(person: Person): Promise<void> {
    const { url, headers } = await person.endpoint();
    const socket = new WebSocket(url.replace("http", "ws") + this.#facts.path, this.#facts.protocol, {
      headers,
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_MS,
    });
    socket.binaryType = "nodebuffer";
    this.#socket = socket;
    socket.on("upgrade", (response) => {
      const id = response.headers["sallyport-session"];
      if (typeof id === "string") this.id = id;
    });
    socket.on("unexpected-response", (request, response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("close", () => {
        this.refusal = { status: response.statusCode ?? 0, body };
        this.#end(undefined);
        request.destroy();
      });
    });
    socket.on("open", () => this.#open());
    socket.on("message", (data: Buffer) => this.#receive(data));
    socket.on("error", () => {
      if (this.openedAt === undefined) this.#end(undefined);
    });
    socket.on("close", (code) => this.#end(code));
  }

  #open(): void {
    this.openedAt = Date.now();
    this.#wasOpened(true);
    this.#sample();
    this.#timers.push(setInterval(() => this.#sample(), SAMPLE_MS));
    const { everyMs } = this.#facts;
    if (everyMs > 0) this.#timers.push(setInterval(() => this.#type(), everyMs));
  }

  #sample(): void {
    this.samples.push({ at: Date.now(), received: this.received });
  }

  /** Sends one keystroke at a time: the next waits for the echo of the one before. */
  #type(): void {
    if (this.#awaited > 0 || this.#socket?.readyState !== WebSocket.OPEN) return;
    const size = this.kind === "port-forward" ? FORWARDED_BYTES : KEYSTROKE_BYTES;
    const message = Buffer.alloc(1 + size, "k");
    message[0] = 0;
    this.#awaited = size;
    this.#typedAt = performance.now();
    this.#send(message);
  }

  #send(message: Buffer): void {
    this.sent = { messages: this.sent.messages + 1, bytes: this.sent.bytes + message.length };
    this.#socket?.send(message);
  }

  #receive(data: Buffer): void {
    this.received = { messages: this.received.messages + 1, bytes: this.received.bytes + data.length };
    const channel = data[0];
    if (this.kind === "counter" && channel === OUTPUT_CHANNEL) {
      const text = this.#line + data.toString("latin1", 1);
      const known = this.tickAt ?? 0;
      const ticks = ticksIn(text).filter((at) => at > known);
      const [oldest] = ticks;
      if (oldest !== undefined) {
        this.firstTickAt ??= oldest;
        this.tickAt = ticks.at(-1);
        // The delay of the oldest, because lines that have waited arrive together.
        this.tickLagsMs.push(Date.now() - oldest);
        if (this.tickLagsMs.length > KEPT_LAGS) this.tickLagsMs.shift();
      }
      this.#line = text.slice(-LINE_CHARS);
    }
    // The two channels of a port-forward begin with the port's number.
    const isHead = this.kind === "port-forward" && this.#typedAt === undefined;
    if (channel === ERROR_CHANNEL && this.kind !== "port-forward") this.error += data.toString("utf8", 1);
    if (isHead || channel !== this.#facts.echoChannel || this.#awaited === 0) return;
    this.#awaited -= data.length - 1;
    if (this.#awaited <= 0 && this.#typedAt !== undefined) {
      this.#awaited = 0;
      this.echoMs.push(performance.now() - this.#typedAt);
    }
  }

  #end(code: number | undefined): void {
    if (this.endedAt !== undefined) return;
    this.endedAt = Date.now();
    this.closeCode = code;
    for (const timer of this.#timers) clearInterval(timer);
    this.#wasOpened(false);
    this.#wasEnded();
  }
}
