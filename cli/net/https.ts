/** HTTP requests as `fetch`, but with a certificate authority, a time limit and a bound, on Node.js 20. */
import { request as plainRequest } from "node:http";
import { request } from "node:https";
import { errorCode, messageOf } from "../../common/errors.ts";
import { PluginFailure } from "../failure.ts";
import { makeAgent } from "./tls.ts";

/** Metadata, tokens and lists are kilobytes. More would be another kind of server. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
const TIMEOUT_MS = 20_000;
/** RFC 9110, section 15. A server may send any three digits, and `Response` takes no other. */
const MIN_STATUS = 200;
const MAX_STATUS = 599;
const TIMED_OUT = new Error("timed out");

export interface HttpRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** Given the bytes of a successful answer as they come. They are not in the answer then, and take any time. */
  readonly onPiece?: (piece: Uint8Array) => void;
}

/** Sends a request. Never follows a redirect: the next host must not get the credentials. */
export type Fetch = (url: string, request: HttpRequest) => Promise<Response>;

/**
 * @param certificateAuthority PEM that is trusted beside the public authorities
 * @returns a function that throws PluginFailure where there is no answer
 */
export function makeFetch(certificateAuthority: string | undefined, timeoutMs = TIMEOUT_MS): Fetch {
  const agent = makeAgent(certificateAuthority);
  return (url, { method, headers, body, onPiece }) => {
    const target = new URL(url);
    const isPlain = target.protocol === "http:";
    if (isPlain && !isHarmlessInPlain(target, headers)) {
      throw new PluginFailure("insecure_server", `${target.origin} is not an https address: nothing was sent to it`);
    }
    let timer: NodeJS.Timeout | undefined;
    return new Promise<Response>((resolve, reject) => {
      const outgoing = (isPlain ? plainRequest : request)(
        target,
        {
          method,
          // Node.js leaves the length out of a DELETE, whose body nobody would read then.
          headers: body === undefined ? headers : { ...headers, "content-length": String(Buffer.byteLength(body)) },
          ...(!isPlain && { agent }),
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          let size = 0;
          const isStreamed = onPiece !== undefined && incoming.statusCode === 200;
          if (isStreamed) {
            clearTimeout(timer);
            incoming.on("data", onPiece);
          }
          incoming.on("data", (chunk: Buffer) => {
            if (isStreamed) return;
            size += chunk.length;
            chunks.push(chunk);
            if (size > MAX_BODY_BYTES) incoming.destroy(new Error("the answer is too large"));
          });
          incoming.on("error", reject);
          incoming.on("end", () => {
            const { statusCode: status = 0, rawHeaders } = incoming;
            if (status >= MIN_STATUS && status <= MAX_STATUS) resolve(responseOf(status, rawHeaders, chunks));
            else reject(new Error(`it answered with the unknown status ${status}`));
          });
        },
      );
      // Not a signal: a request whose tunnel through a proxy is not open yet does not notice that it was
      // aborted.
      timer = setTimeout(() => {
        reject(TIMED_OUT);
        outgoing.destroy();
      }, timeoutMs);
      outgoing.on("error", reject);
      outgoing.end(body);
    })
      .catch((error: unknown) => {
        throw connectionFailure(target, error, timeoutMs);
      })
      .finally(() => clearTimeout(timer));
  };
}

/** The local stack's other addresses are plain HTTP on loopback, and need no credential. */
function isHarmlessInPlain({ hostname }: URL, headers: Readonly<Record<string, string>>): boolean {
  const hasCredential = Object.keys(headers).some((name) => /^(?:authorization|cookie|cf-)/i.test(name));
  return isThisMachine(hostname) && !hasCredential;
}

/**
 * @param hostname as `URL` has it
 * @returns whether it is a loopback name, which stays on this machine without TLS
 */
export function isThisMachine(hostname: string): boolean {
  return ["127.0.0.1", "localhost", "[::1]"].includes(hostname);
}

function responseOf(status: number, rawHeaders: readonly string[], chunks: readonly Buffer[]): Response {
  const headers = new Headers();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.append(rawHeaders[index] ?? "", rawHeaders[index + 1] ?? "");
  }
  const hasBody = status !== 204 && status !== 205 && status !== 304;
  return new Response(hasBody ? Buffer.concat(chunks) : null, { status, headers });
}

const TLS_FAILURE = /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME/;

function connectionFailure({ host }: URL, error: unknown, timeoutMs: number): PluginFailure {
  if (error instanceof PluginFailure) return error;
  const code = errorCode(error) ?? "";
  if (TLS_FAILURE.test(code)) {
    return new PluginFailure(
      "untrusted_certificate",
      `the certificate of ${host} is not trusted (${code}): set the cluster's certificate-authority, or ` +
        "NODE_EXTRA_CA_CERTS",
    );
  }
  const what =
    error === TIMED_OUT
      ? `did not answer within ${timeoutMs / 1000} s`
      : `cannot be reached (${code || messageOf(error)})`;
  return new PluginFailure("unreachable", `${host} ${what}: check the network and the address, then try again`);
}
