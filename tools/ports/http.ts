/** HTTP requests. Redirects are not followed: who redirects is what callers want to know. */
import { type IncomingHttpHeaders, type IncomingMessage, request as overHttp } from "node:http";
import { request as overHttps } from "node:https";

export interface HttpRequest {
  readonly url: string;
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** At most its first MiB. */
  readonly body: string;
}

/** Sends one request. @throws HttpFailure where there is no answer */
export type Http = (request: HttpRequest) => Promise<HttpAnswer>;

/** There was no answer. The message says why, and never what was sent. */
export class HttpFailure extends Error {
  override readonly name = "HttpFailure";
}

const TIMEOUT_MS = 15_000;
const MAX_BODY_BYTES = 1024 * 1024;

/** @param origins replaces DNS for host names: `{"prod.k8s.example.com": "http://127.0.0.1:8712"}` */
export function nodeHttp(origins: Readonly<Record<string, string>> = {}): Http {
  return ({ url: asked, method = "GET", headers = {}, body }) => {
    const url = new URL(asked);
    const at = new URL(origins[url.hostname] ?? url.origin);
    const send = at.protocol === "https:" ? overHttps : overHttp;
    return new Promise((answered, failed) => {
      const fail = (error: Error) => failed(new HttpFailure(`${url.host} does not answer: ${error.message}`));
      const outgoing = send(
        {
          host: at.hostname.replace(/^\[|\]$/g, ""),
          port: at.port,
          path: url.pathname + url.search,
          method,
          headers: {
            host: url.host,
            ...headers,
            ...(body !== undefined && { "content-length": Buffer.byteLength(body) }),
          },
          timeout: TIMEOUT_MS,
        },
        (incoming) => readAnswer(incoming).then(answered, fail),
      );
      outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
      outgoing.on("error", fail);
      outgoing.end(body);
    });
  };
}

async function readAnswer(incoming: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) break;
    chunks.push(chunk);
  }
  return { status: incoming.statusCode ?? 0, headers: plain(incoming.headers), body: Buffer.concat(chunks).toString() };
}

function plain(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, [value].flat().join(", ")]],
    ),
  );
}
