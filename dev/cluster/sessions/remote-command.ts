import type { Container, Pod } from "../api/objects.ts";
import { badRequest } from "../api/status.ts";
import { isTrue } from "../auth/request-info.ts";
import { CHANNEL, type ChannelConnection, type ChannelProtocol } from "./channels.ts";

/** The streams of an exec or attach. */
export interface StreamOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** Reads the options from the query; throws 400. On a terminal there is no separate stderr. */
export function streamOptions(query: URLSearchParams): StreamOptions {
  const [stdin, stdout, stderr, tty] = ["stdin", "stdout", "stderr", "tty"].map((name) => isTrue(query.get(name)));
  if (!stdin && !stdout && !stderr) throw badRequest("you must specify at least 1 of stdin, stdout, stderr");
  return { stdin: stdin === true, stdout: stdout === true, stderr: stderr === true && tty !== true, tty: tty === true };
}

/** Tells the client that it is connected: an empty message on the lowest channel that the server writes. */
export function greet(connection: ChannelConnection, { stdout, stderr }: StreamOptions): void {
  let channel: number = CHANNEL.error;
  if (stderr) channel = CHANNEL.stderr;
  if (stdout) channel = CHANNEL.stdout;
  connection.send(channel, Buffer.alloc(0));
}

/** How a session ended. */
export type Outcome =
  | { readonly kind: "success" }
  | { readonly kind: "exit"; readonly code: number; readonly command: readonly string[] }
  | { readonly kind: "error"; readonly message: string };

/** Writes the outcome to the error channel and closes. */
export function finish(connection: ChannelConnection, outcome: Outcome): void {
  const text = outcomeText(connection.protocol, outcome);
  if (text !== "") connection.send(CHANNEL.error, Buffer.from(text));
  connection.end();
}

// v5 goes through the API server's stream translator, which rewords messages. v4 and v1 show the kubelet's
// own.
function outcomeText(protocol: ChannelProtocol, outcome: Outcome): string {
  const isV5 = protocol.halfCloses;
  switch (outcome.kind) {
    case "success":
      return protocol.errors === "status" ? goJson({ metadata: {}, status: "Success" }) : "";
    case "exit": {
      const { code, command } = outcome;
      const reason = isV5
        ? `command terminated with exit code ${code}`
        : `error executing command [${command.join(" ")}], exit code ${code}`;
      const message = `command terminated with non-zero exit code: ${reason}`;
      if (protocol.errors === "text") return message;
      const details = { causes: [{ reason: "ExitCode", message: String(code) }] };
      return goJson({ metadata: {}, status: "Failure", message, reason: "NonZeroExitCode", details });
    }
    case "error": {
      const inner = isV5 ? `Internal error occurred: ${outcome.message}` : outcome.message;
      const message = `Internal error occurred: ${inner}`;
      if (protocol.errors === "text") return message;
      const details = { causes: [{ message: inner }] };
      return goJson({ metadata: {}, status: "Failure", message, reason: "InternalError", details, code: 500 });
    }
  }
}

/** JSON as Go's encoder writes it: with HTML's special characters escaped. */
function goJson(value: object): string {
  return JSON.stringify(value).replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
}

const MAX_RESIZE_BYTES = 1024;

/** Reads the resize channel, a byte stream of `{"Width":n,"Height":n}` objects, and reports each size. */
export class ResizeReader {
  #text = "";
  readonly #onSize: (columns: number, rows: number) => void;

  constructor(onSize: (columns: number, rows: number) => void) {
    this.#onSize = onSize;
  }

  push(data: Buffer): void {
    const parts = (this.#text + data.toString("latin1")).split("}");
    this.#text = (parts.pop() ?? "").slice(-MAX_RESIZE_BYTES);
    for (const part of parts) {
      const number = (field: string): number =>
        Number(new RegExp(`"${field}"\\s*:\\s*(\\d{1,5})\\b`).exec(part)?.[1] ?? 0);
      this.#onSize(number("Width"), number("Height"));
    }
  }
}

/** The process or container of a session. */
export interface SessionTarget {
  readonly pod: Pod;
  readonly container: Container;
}
