/** Which headers pass the proxy. Pure. */

/** Of one connection only (RFC 9110, section 7.6.1). */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** What says who asks. The proxy says that, and nobody else. */
const CREDENTIALS = new Set(["authorization", "cookie", "host"]);

/** Headers in order, as Node.js has them raw: name, value, name, value … */
type RawHeaders = readonly string[];

/** What only this connection's head says, and the next one's must say, too. */
export interface Framing {
  /** The protocol that the client asks for. */
  readonly upgrade?: string | undefined;
  /**
   * Whether the body's length is not known beforehand. Node.js chunks only bodies of the methods that often
   * have one.
   */
  readonly isChunked: boolean;
}

/**
 * @returns whether a protocol is one of Kubernetes' sessions. Java's client asks for `h2c` with every request
 */
export function isSessionProtocol(upgrade: string | undefined): upgrade is string {
  return upgrade !== undefined && /^(?:websocket|spdy\/3\.1)$/i.test(upgrade);
}

/**
 * A request's headers on their way to the deployment.
 *
 * @param credentials headers to add
 */
export function requestHeaders(
  raw: RawHeaders,
  host: string,
  credentials: Readonly<Record<string, string>>,
  { upgrade, isChunked }: Framing,
): string[] {
  const kept = filterHeaders(raw, (name) => {
    return !HOP_BY_HOP.has(name) && !CREDENTIALS.has(name) && !name.startsWith("cf-");
  });
  return [
    "host",
    host,
    ...kept,
    ...Object.entries(credentials).flat(),
    ...(upgrade === undefined ? [] : ["connection", "Upgrade", "upgrade", upgrade]),
    ...(isChunked ? ["transfer-encoding", "chunked"] : []),
  ];
}

/** An answer's headers on their way to the client. Access's cookies are for browsers. */
export function responseHeaders(raw: RawHeaders): string[] {
  return filterHeaders(raw, (name) => !HOP_BY_HOP.has(name) && name !== "set-cookie");
}

/** A reason phrase without what Node.js reads in one, but throws at in one that it shall write. */
export function reasonPhrase(text: string | undefined): string {
  return (text ?? "").replace(/[^\t\x20-\x7e\x80-\xff]/g, " ");
}

/** The head of the answer to an upgrade, as it goes to the client. */
export function upgradeHead(status: number, statusText: string, raw: RawHeaders): string {
  const lines = [`HTTP/1.1 ${status} ${reasonPhrase(statusText)}`];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (raw[index]?.toLowerCase() !== "set-cookie") lines.push(`${raw[index]}: ${raw[index + 1]}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function filterHeaders(raw: RawHeaders, keeps: (name: string) => boolean): string[] {
  const named = connectionOptions(raw);
  const kept: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? "";
    if (keeps(name.toLowerCase()) && !named.has(name.toLowerCase())) kept.push(name, raw[index + 1] ?? "");
  }
  return kept;
}

/**
 * Headers that `Connection` names are of this connection only, too. But a body without its length would be
 * read as the next request.
 */
function connectionOptions(raw: RawHeaders): ReadonlySet<string> {
  const values = raw.filter((_, index) => index % 2 === 1 && raw[index - 1]?.toLowerCase() === "connection");
  const names = values.flatMap((value) => value.toLowerCase().split(","));
  return new Set(names.map((each) => each.trim()).filter((name) => name !== "content-length"));
}
