/**
 * The headers that go to the API server: built anew from an allow-list and the decision, never the client's with some
 * taken out. Deny-lists have lost this game before: `Connection: Impersonate-User` made proxies drop the header they had
 * just set (CVE-2021-31999).
 */

/** The identity a request runs as in the cluster. */
export interface Impersonation {
  readonly user: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** An identity that cannot be written into headers faithfully. No request may be sent for it. */
export class ImpersonationError extends Error {
  override readonly name = "ImpersonationError";
  readonly code = "ERR_IMPERSONATION";
  /** Which part of the identity is at fault. Its value is left out: error texts reach clients. */
  readonly part: "user" | "group" | "uid" | "extra";

  constructor(part: ImpersonationError["part"], problem: string) {
    super(`cannot impersonate: the ${part} ${problem}`);
    this.part = part;
  }
}

/**
 * What a Kubernetes client legitimately says about a request. Not here, for a reason:
 * - Content-Length and Transfer-Encoding: the runtime frames the body it sends; a copy could only disagree with it.
 * - Authorization, Cookie, Cf-*, X-Remote-*: credentials and claims for someone else, or forged.
 * - X-Forwarded-*, Forwarded, Via: the client does not say where it came from.
 * - Connection, TE, Trailer, Upgrade, Proxy-*: end at this hop.
 * - Audit-ID: the API server would take it for its own audit's id.
 * - traceparent, tracestate, baggage: let a client force sampling and write into the cluster's traces.
 * - Range: no API honours it, and a whole answer is always a correct one.
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

/** Marks a WebSocket subprotocol that is really a bearer token. */
const BEARER_SUBPROTOCOL = "base64url.bearer.authorization.k8s.io.";

/** What client-go escapes in an extra's key: all but HTTP's token characters, and `%` (legalHeaderKeyBytes). */
const ESCAPED_KEY_CHARACTER = /[^!#$&'*+\-.0-9a-z^_`|~]/gu;

/**
 * Builds the headers of the upstream request.
 *
 * @param client the client's headers; only allow-listed ones are read.
 * @param as the identity from the decision. Extra keys are sent in lower case, which is all the API server keeps.
 * @param mode `upgrade` for a request that opens a WebSocket. Workers' fetch wants `Upgrade` alone and adds Connection
 *   and the Sec-WebSocket-* handshake itself.
 * @throws ImpersonationError when the identity cannot be sent exactly as it is.
 */
export function buildUpstreamHeaders(
  client: Headers,
  as: Impersonation,
  mode: { readonly upgrade?: "websocket" },
): Headers {
  const upstream = new Headers();
  for (const name of ALLOWED_HEADERS) {
    const value = client.get(name);
    if (value !== null) upstream.set(name, value);
  }
  if (mode.upgrade === "websocket") {
    upstream.set("upgrade", "websocket");
    const subprotocols = withoutBearerTokens(client.get(SUBPROTOCOL_HEADER));
    if (subprotocols.length > 0) upstream.set(SUBPROTOCOL_HEADER, subprotocols.join(", "));
  }
  impersonate(upstream, as);
  return upstream;
}

/**
 * Finds a header with which the client asks to be someone else. Dropping it silently would run the request as somebody
 * the person did not mean.
 *
 * @returns the header's name and a reason for a person, or undefined.
 */
export function forbiddenClientHeader(client: Headers): { header: string; reason: string } | undefined {
  for (const header of client.keys()) {
    // Some servers on the way fold underscores into dashes.
    if (!header.toLowerCase().replaceAll("_", "-").startsWith("impersonate-")) continue;
    return { header, reason: "impersonation (kubectl's --as, --as-group and --as-uid) is not available here" };
  }
  return undefined;
}

/**
 * The offered subprotocols without those that carry a token, in order. Everything else is kept, known or not: the server
 * chooses. Anything outside visible ASCII goes too, because Go trims more kinds of space than JavaScript before it looks
 * for the token's prefix.
 */
function withoutBearerTokens(offered: string | null): readonly string[] {
  return (offered ?? "")
    .split(",")
    .map((subprotocol) => subprotocol.trim())
    .filter((subprotocol) => /^[!-~]+$/.test(subprotocol) && !subprotocol.toLowerCase().includes(BEARER_SUBPROTOCOL));
}

function impersonate(upstream: Headers, as: Impersonation): void {
  // Without a user the API server would not impersonate at all, and the request would run as the proxy's own account.
  upstream.set("impersonate-user", exactValue("user", as.user));
  // A line for each: the API server takes `a, b` in one line for a single group of that name.
  for (const group of as.groups) upstream.append("impersonate-group", exactValue("group", group));
  if (as.uid !== undefined) upstream.set("impersonate-uid", exactValue("uid", as.uid));
  for (const [key, values] of Object.entries(as.extra)) {
    const header = `impersonate-extra-${escapeExtraKey(key)}`;
    for (const value of values) upstream.append(header, exactValue("extra", value));
  }
}

/**
 * Passes a value that reaches the API server byte for byte, and throws on any other.
 *
 * `Headers` trims spaces at the ends, so ` system:masters` would arrive as another group. Beyond ASCII, runtimes differ
 * in the bytes they send for a character, and the name that RBAC compares is the bytes.
 */
function exactValue(part: ImpersonationError["part"], value: string): string {
  if (value === "") throw new ImpersonationError(part, "is empty");
  if (!/^[ -~]*$/.test(value)) throw new ImpersonationError(part, "has a character outside printable ASCII");
  if (value.startsWith(" ") || value.endsWith(" ")) {
    throw new ImpersonationError(part, "begins or ends with a space");
  }
  return value;
}

/** `headerKeyEscape` of client-go's transport/round_trippers.go, after the lower-casing the API server does anyway. */
function escapeExtraKey(key: string): string {
  if (key === "") throw new ImpersonationError("extra", "has an empty key");
  if (!key.isWellFormed()) throw new ImpersonationError("extra", "has a key that is not valid Unicode");
  return key
    .toLowerCase()
    .replace(ESCAPED_KEY_CHARACTER, (character) =>
      Array.from(
        new TextEncoder().encode(character),
        (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
      ).join(""),
    );
}
