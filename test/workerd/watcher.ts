/** Somebody who watches a session, as a player does. */
import { env } from "cloudflare:workers";
import type { JWTPayload } from "jose";
import { recordingKey } from "../../contract/recording.ts";
import { eventually } from "../support/eventually.ts";
import { as } from "./people.ts";

export type CastEvent = [seconds: number, code: string, data: string];

export const WATCH_UPGRADE = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Protocol": "v1.alis, v2.asciicast, v3.asciicast, raw",
};

export const watchPath = (sessionId: string) => `/-/admin/sessions/${sessionId}/watch`;

export class Watcher {
  readonly lines: string[] = [];
  readonly protocol: string | null;
  closed: { code: number; reason: string } | undefined;
  readonly #socket: WebSocket;

  private constructor(response: Response, socket: WebSocket) {
    this.#socket = socket;
    this.protocol = response.headers.get("Sec-WebSocket-Protocol");
    socket.addEventListener("message", ({ data }) => this.lines.push(data as string));
    socket.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
    });
    socket.accept();
  }

  static async open(who: JWTPayload, sessionId: string): Promise<Watcher> {
    return Watcher.of(await as(who, watchPath(sessionId), { headers: WATCH_UPGRADE }));
  }

  static async of(response: Response): Promise<Watcher> {
    if (!response.webSocket) throw new Error(`refused with ${response.status}: ${await response.text()}`);
    return new Watcher(response, response.webSocket);
  }

  get header(): Record<string, unknown> {
    return JSON.parse(this.lines[0] ?? "null");
  }

  get events(): CastEvent[] {
    return this.lines.slice(1).map((line) => JSON.parse(line));
  }

  /** What is on the terminal, with Sallyport's notices. */
  get shown(): string {
    return shownBy(this.events);
  }

  /** Waits until the terminal shows a text. */
  async shows(text: string): Promise<void> {
    await eventually(() => {
      if (this.shown.includes(text)) return;
      throw new Error(`it shows ${JSON.stringify(this.shown.slice(-300))}, closed: ${JSON.stringify(this.closed)}`);
    });
  }

  send(message: string): void {
    this.#socket.send(message);
  }

  close(): void {
    this.#socket.close(1000);
  }
}

export function shownBy(events: readonly CastEvent[]): string {
  return events.flatMap(([, code, data]) => (code === "o" ? [data] : [])).join("");
}

/** The recording of a session that has ended. */
export async function recordedText(sessionId: string): Promise<string> {
  return eventually(async () => {
    const found = await env.RECORDINGS.get(recordingKey(sessionId));
    if (!found) throw new Error("R2 has no such recording");
    return found.text();
  });
}

/** What the session itself has shown. Sallyport's notices are in reverse video. */
export function withoutNotices(events: readonly CastEvent[]): CastEvent[] {
  return events.filter(([, , data]) => !data.startsWith("\r\n\u001b[0;7m["));
}
