/**
 * Builds the headers for the API server from an allow-list and the decision, instead of removing some of the
 * client's. Deny-lists have failed before: `Connection: Impersonate-User` made proxies drop the header that
 * they had just set (CVE-2021-31999).
 */
import { headerList } from "../common/header-list.ts";
import { err, ok, type Result } from "../common/result.ts";

/** The identity that a request has in the cluster. */
export interface Impersonation {
  readonly user: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** An identity that headers cannot represent exactly. No request may be sent for it. */
export interface ImpersonationError {
  readonly code: "invalid_impersonation";
  /** The invalid part of the identity. */
  readonly part: "user" | "group" | "uid" | "extra";
  /** For a person. Does not contain the value, because messages reach clients. */
  readonly message: string;
}

/**
 * The client's headers that are passed on. These are left out for a reason:
 * - Content-Length and Transfer-Encoding: the runtime frames the body; a copy could only contradict it.
 * - Authorization, Cookie, Cf-*, X-Remote-*: credentials and claims for somebody else, or forged.
 * - X-Forwarded-*, Forwarded, Via: a client could claim another origin.
 * - Connection, TE, Trailer, Upgrade, Proxy-*: hop-by-hop.
 * - Audit-ID: the API server would use it as the id in its own audit log.
 * - traceparent, tracestate, baggage: a client could force sampling and write into the cluster's traces.
 * - Range: no API supports it, and a complete response is always correct.
 */
const ALLOWED_HEADERS = [
  "accept",
  "accept-encoding",
  "content-encoding",
  "content-type",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "kubectl-command",
  "kubectl-session",
  "user-agent",
] as const;

const SUBPROTOCOL_HEADER = "sec-websocket-protocol";

/** Prefix of a WebSocket subprotocol that carries a bearer token. */
const BEARER_SUBPROTOCOL = "base64url.bearer.authorization.k8s.io.";

/**
 * Characters of an extra's key that client-go escapes: `%`, and all but HTTP token characters
 * (legalHeaderKeyBytes).
 */
const ESCAPED_KEY_CHARACTER = /[^!#$&'*+\-.0-9a-z^_`|~]/gu;

/**
 * Builds the headers of the upstream request.
 *
 * @param client the client's headers
 * @param as the identity from the decision. Keys of extras are sent in
 *   lower case, as the API server reads them.
 * @param mode `upgrade` for a request that opens a WebSocket. Workers' fetch needs only `Upgrade`, and adds
 *   Connection and the Sec-WebSocket-* handshake itself.
 * @returns an error when headers cannot represent the identity exactly
 */
export function buildUpstreamHeaders(
  client: Headers,
  as: Impersonation,
  mode: { readonly upgrade?: "websocket" },
): Result<Headers, ImpersonationError> {
  const identity = impersonationHeaders(as);
  if (!identity.ok) return identity;
  const upstream = new Headers();
  for (const name of ALLOWED_HEADERS) {
    const value = client.get(name);
    if (value !== null) upstream.set(name, asciiOnly(value));
  }
  if (mode.upgrade === "websocket") {
    upstream.set("upgrade", "websocket");
    const subprotocols = withoutBearerTokens(client.get(SUBPROTOCOL_HEADER));
    if (subprotocols.length > 0) upstream.set(SUBPROTOCOL_HEADER, subprotocols.join(", "));
  }
  // Append: each group needs a line of its own. The API server reads `a, b`
  // in one line as one group of that name.
  for (const [name, value] of identity.value) upstream.append(name, value);
  return ok(upstream);
}

/**
 * Outside ASCII, runtimes send different bytes for the same character, or none at all. Some of them act on
 * the terminal that shows the cluster's own audit log.
 */
function asciiOnly(value: string): string {
  return value.replace(/[^\t -~]/gu, "?");
}

/**
 * Removes subprotocols that carry a token from the offered ones. All others stay, known or not, because the
 * server chooses. Those with characters outside visible ASCII are removed too: Go trims more kinds of space
 * than JavaScript before it looks for the prefix of a token.
 */
function withoutBearerTokens(offered: string | null): readonly string[] {
  return headerList(offered).filter(
    (subprotocol) => /^[!-~]+$/.test(subprotocol) && !subprotocol.toLowerCase().includes(BEARER_SUBPROTOCOL),
  );
}

export type HeaderLine = readonly [name: string, value: string];

/**
 * The lines that say who a request is in the cluster. Each value has a line of its own: `Headers` joins what
 * is repeated when it is read, and the API server takes `a, b` for one group.
 */
export function impersonationHeaders(as: Impersonation): Result<HeaderLine[], ImpersonationError> {
  const lines: Result<HeaderLine, ImpersonationError>[] = [
    // Without a user the API server does not impersonate: the request would run as the proxy's own account.
    exactHeader("user", "impersonate-user", as.user),
    ...as.groups.map((group) => exactHeader("group", "impersonate-group", group)),
    ...(as.uid === undefined ? [] : [exactHeader("uid", "impersonate-uid", as.uid)]),
    ...Object.entries(as.extra).flatMap(([key, values]) => values.map((value) => extraHeader(key, value))),
  ];
  const headers: HeaderLine[] = [];
  for (const line of lines) {
    if (!line.ok) return line;
    headers.push(line.value);
  }
  return ok(headers);
}

/**
 * Accepts a value that reaches the API server byte for byte.
 *
 * `Headers` trims spaces at both ends, so ` system:masters` would arrive as another group. Outside ASCII,
 * runtimes send different bytes for the same character, and RBAC compares bytes.
 */
function exactHeader(
  part: ImpersonationError["part"],
  name: string,
  value: string,
): Result<HeaderLine, ImpersonationError> {
  if (value === "") return invalid(part, "is empty");
  if (!/^[ -~]*$/.test(value)) return invalid(part, "has a character outside printable ASCII");
  if (value.startsWith(" ") || value.endsWith(" ")) return invalid(part, "begins or ends with a space");
  return ok([name, value]);
}

function extraHeader(key: string, value: string): Result<HeaderLine, ImpersonationError> {
  if (key === "") return invalid("extra", "has an empty key");
  if (!key.isWellFormed()) return invalid("extra", "has a key that is not valid Unicode");
  return exactHeader("extra", `impersonate-extra-${escapeExtraKey(key)}`, value);
}

function invalid(part: ImpersonationError["part"], problem: string) {
  return err<ImpersonationError>({
    code: "invalid_impersonation",
    part,
    message: `cannot impersonate: the ${part} ${problem}`,
  });
}

/**
 * `headerKeyEscape` of client-go's transport/round_trippers.go, in lower case, as the API server reads it.
 */
function escapeExtraKey(key: string): string {
  return key
    .toLowerCase()
    .replace(ESCAPED_KEY_CHARACTER, (character) =>
      Array.from(
        new TextEncoder().encode(character),
        (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
      ).join(""),
    );
}
