import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout } from "node:timers/promises";
import { APPLY_MEDIA_TYPE, mediaTypeOf } from "./api/patch.ts";
import { decodeObject } from "./api/protobuf.ts";
import { protobufSchema } from "./api/protobuf-schemas.ts";
import { badRequest, StatusError, unsupportedMediaType } from "./api/status.ts";

// The API server's own limit for a request body.
const MAX_BODY_BYTES = 3 * 1024 * 1024;
const LOOPBACK_HOST = /^(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?$/i;

/**
 * Rejects requests from web pages with 403, since pages can reach every port of this machine and there is no
 * sign-in. A page's request has an Origin header, or (after DNS rebinding) another Host.
 */
export function checkOrigin(request: IncomingMessage): void {
  if (request.headers.origin !== undefined) {
    throw new StatusError(403, "Forbidden", "the embedded cluster takes no requests from web pages (Origin header)");
  }
  if (!LOOPBACK_HOST.test(request.headers.host ?? "")) {
    throw new StatusError(
      403,
      "Forbidden",
      "the embedded cluster is only for this machine: use 127.0.0.1 or localhost as host",
    );
  }
}

/** @returns the percent-decoded path, which the API server routes on, and the query; throws 400 */
export function splitUrl(request: IncomingMessage): { path: string; query: URLSearchParams } {
  const url = request.url ?? "/";
  const mark = url.indexOf("?");
  const raw = mark === -1 ? url : url.slice(0, mark);
  try {
    return { path: decodeURIComponent(raw), query: new URLSearchParams(mark === -1 ? "" : url.slice(mark + 1)) };
  } catch {
    throw badRequest("invalid percent-encoding in the path");
  }
}

/** @returns the body, JSON or protobuf, or undefined without one; throws 400, 413 or 415 */
export async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // A destroyed request takes its connection along, and with it the answer that says why.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) {
      throw new StatusError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${MAX_BODY_BYTES}`);
    }
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  const type = request.headers["content-type"] ?? "application/json";
  if (type.startsWith("application/vnd.kubernetes.protobuf")) {
    return decodeObject(Buffer.concat(chunks), protobufSchema);
  }
  // The media type says YAML, but all known clients send JSON, which is valid YAML.
  if (!type.includes("json") && mediaTypeOf(type) !== APPLY_MEDIA_TYPE) {
    throw unsupportedMediaType(
      "the body of the request was in an unknown format - accepted media types include: application/json, application/vnd.kubernetes.protobuf",
    );
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw badRequest("the object provided is unrecognized: couldn't parse the body as JSON");
  }
}

/** `rstAvoidanceDelay` of Go's net/http. */
const LINGER_MS = 500;

/**
 * Answers a request before all of its body has come, as Go's server does: the answer first, then the end of
 * the connection, but not at once. A reset would take the answer from a client that is still sending.
 */
export async function sendEarlyJson(
  request: IncomingMessage,
  response: ServerResponse,
  code: number,
  body: object,
): Promise<void> {
  const text = `${JSON.stringify(body)}\n`;
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  response.writeHead(code, { ...headers, connection: "close" });
  response.write(text);
  request.resume();
  const isOver = new AbortController();
  const closed = once(request, "close", { signal: isOver.signal }).catch(() => {});
  await Promise.race([closed, setTimeout(LINGER_MS, undefined, { signal: isOver.signal }).catch(() => {})]);
  isOver.abort();
  response.end();
}

/**
 * Sends a JSON document, indented for browsers and curl, with a newline at the end as the API server does.
 */
export function sendJson(response: ServerResponse, code: number, body: object, pretty: boolean): void {
  if (!response.hasHeader("content-type")) response.setHeader("content-type", "application/json");
  response.statusCode = code;
  response.end(`${JSON.stringify(body, undefined, pretty ? 2 : undefined)}\n`);
}
