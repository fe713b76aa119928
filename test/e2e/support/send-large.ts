/** Sends large bodies as some clients do, which read nothing until they have sent everything. */
import { connect } from "node:net";

export interface Answer {
  readonly status: number;
  readonly connection: string | undefined;
  readonly json: unknown;
}

const PIECE = 64 * 1024;

/**
 * Sends a request with a body, on a socket of its own: Node's HTTP client reads meanwhile, and forgets what
 * it has read.
 *
 * @param line method and path
 * @param readsMeanwhile stops once it has an answer, as Go's client does
 */
export async function sendLarge(
  url: string,
  line: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  readsMeanwhile = false,
): Promise<Answer> {
  const { hostname, port, host } = new URL(url);
  const isChunked = headers["Transfer-Encoding"] === "chunked";
  const length = isChunked ? {} : { "Content-Length": String(body.length) };
  const lines = Object.entries({ Host: host, Connection: "close", ...length, ...headers });
  const head = `${line} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  const message = head + (isChunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body);
  const socket = connect(Number(port), hostname);
  const failed = new Promise<never>((_, reject) => socket.once("error", reject));
  let text = "";
  const read = () =>
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  const closed = new Promise((resolve) => socket.once("close", resolve));
  if (readsMeanwhile) read();
  const sent = (async () => {
    for (let at = 0; at < message.length && text === ""; at += PIECE) {
      await new Promise<void>((resolve) => socket.write(message.slice(at, at + PIECE), () => resolve()));
    }
  })();
  await Promise.race([sent, failed]);
  if (!readsMeanwhile) read();
  await Promise.race([closed, failed]);
  return parseAnswer(text);
}

function parseAnswer(text: string): Answer {
  const [, status] = /^HTTP\/1\.1 (\d+) /.exec(text) ?? [];
  if (status === undefined) throw new Error(`no answer, but ${JSON.stringify(text)}`);
  const [, connection] = /^connection: (.*)\r$/im.exec(text) ?? [];
  const json: unknown = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
  return { status: Number(status), connection, json };
}
