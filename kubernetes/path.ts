/**
 * Detects ambiguous paths, which are refused.
 *
 * The API server routes and authorizes on the percent-DECODED path. It has no ServeMux, so it does not clean
 * the path: `pods/foo%2Fexec` is an exec, and `//` and `/../` are ordinary segments. What is in front of it
 * (URL parsers, a tunnel, `kubectl proxy` with its ServeMux) cleans paths, each in its own way. A path that
 * two of these read differently could be one request to Sallyport and another to the API server.
 *
 * Real clients send no such path: a Kubernetes name contains neither `/` nor `%`, and is neither `.` nor `..`
 * (IsPathSegmentName in apimachinery).
 */

/** How many levels of encoding are decoded to look for a dot segment. Bounds the work on `%252525…`. */
const MAX_ENCODING_DEPTH = 4;

/** Control characters (C0 and C1) and line separators, which no Kubernetes client sends in a path. */
const CONTROL_CHARACTER = /[\p{Cc}\u2028\u2029]/u;

/**
 * A path that has nothing to decode, and no dot segment: that of nearly every request. What follows finds no
 * fault with it, and takes longer to say so.
 */
const PLAIN_PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~:@-]+)+\/?$/;

/** The parts of a URL that the API server routes on. A `URL` has them. */
export interface RequestTarget {
  readonly pathname: string;
  readonly search: string;
}

/**
 * Splits a request's URL into path and query, byte for byte as the client sent
 * them (the request target of RFC 9112).
 *
 * In workerd, `request.url` is raw, while `new URL` and `fetch` resolve `/../`, `/%2e%2e/` and `\`. Only the
 * raw path shows such an attempt. For a path that `findPathAmbiguity` accepts, all three agree.
 *
 * @param requestUrl an absolute URL; a fragment is dropped. Anything else returns an empty path, which
 *   `findPathAmbiguity` rejects.
 */
export function rawRequestTarget(requestUrl: string): RequestTarget {
  // URL parsers end the host at a backslash, so this does too; the path then begins with it and is refused.
  // In a URL without a host, they take the first segment of the path for the host.
  const match = /^https?:\/\/[^/\\?#]+([^?#]*)(\?[^#]*)?/i.exec(requestUrl);
  if (match === null) return { pathname: "", search: "" };
  return { pathname: match[1] || "/", search: match[2] ?? "" };
}

/**
 * Percent-decodes a URL's pathname once, as Go's net/url does for `URL.Path`. `+` stays.
 *
 * @returns undefined for invalid percent-encoding, which Go answers with 400 too, and for bytes that are not
 *   UTF-8. Go would pass those on, but a string cannot represent them.
 */
export function decodePathname(rawPathname: string): string | undefined {
  if (!rawPathname.isWellFormed()) return undefined;
  if (!rawPathname.includes("%")) return rawPathname;
  try {
    // Not TextDecoder, which drops a leading U+FEFF: the API server does not read `%EF%BB%BFexec` as `exec`.
    return decodeURIComponent(rawPathname);
  } catch {
    return undefined;
  }
}

/**
 * Finds out whether a path is ambiguous. Classification relies on it.
 *
 * An unambiguous path has the same segments whether it is decoded, normalized as a WHATWG URL and decoded, or
 * cleaned as Go's ServeMux does, up to the start of a proxied tail.
 *
 * @param rawPathname percent-encoded, from `rawRequestTarget`. `new
 *   URL(…).pathname` works when exactly that is sent.
 * @returns a reason for a person, or undefined for an unambiguous path
 */
export function findPathAmbiguity(rawPathname: string): string | undefined {
  if (PLAIN_PATH.test(rawPathname)) return undefined;
  if (!rawPathname.startsWith("/")) return "the path does not start with a slash";
  const segments = rawPathname.slice(1).split("/");
  // One slash at the end is common and harmless: the API server and its router trim it.
  if (segments.at(-1) === "") segments.pop();
  const tailStart = proxiedTailStart(segments);
  for (const [index, segment] of segments.entries()) {
    const reason = index < tailStart ? segmentAmbiguity(segment) : tailSegmentAmbiguity(segment);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/**
 * Returns the index of the first segment that belongs to a workload: the one after
 * `…/{pods|services}/{name}/proxy`.
 *
 * Compares raw segments on purpose: a path with `%70roxy` is checked strictly to its end. Nodes are not
 * included, because their proxied tail is the API of the kubelet, which has `exec` and `run`.
 */
function proxiedTailStart(segments: readonly string[]): number {
  const [prefix, version, namespaces, , resource, , subresource] = segments;
  const isProxied =
    prefix === "api" &&
    version === "v1" &&
    namespaces === "namespaces" &&
    (resource === "pods" || resource === "services") &&
    subresource === "proxy";
  return isProxied ? 7 : Number.POSITIVE_INFINITY;
}

function segmentAmbiguity(segment: string): string | undefined {
  if (segment === "") return "the path has an empty segment (two slashes in a row)";
  const decoded = decodePathname(segment);
  if (decoded === undefined) return "the path has invalid percent-encoding or is not UTF-8";
  if (decoded === "." || decoded === "..") return "the path has a dot segment";
  if (decoded.includes("/")) return "the path has an encoded slash (%2F)";
  if (decoded.includes("%")) return "the path is percent-encoded twice";
  return characterAmbiguity(decoded);
}

/**
 * Checks a segment below a `proxy` subresource, where almost any path is legitimate.
 *
 * The first seven segments are unambiguous, so the request stays with this pod or service: doubled slashes,
 * `%2F` and `%25` only select something else inside the workload. Dot segments could leave it. They are
 * refused at any level of encoding, in case a hop decodes once too often.
 */
function tailSegmentAmbiguity(segment: string): string | undefined {
  const decoded = decodePathname(segment);
  if (decoded === undefined) return "the path has invalid percent-encoding or is not UTF-8";
  if (hasDotSegment(segment)) return "the path below proxy has a dot segment";
  return characterAmbiguity(decoded);
}

function characterAmbiguity(decoded: string): string | undefined {
  // URL parsers turn a raw backslash into a slash. Go does not.
  if (decoded.includes("\\")) return "the path has a backslash";
  if (CONTROL_CHARACTER.test(decoded)) return "the path has a control character";
  return undefined;
}

/**
 * Tells whether a dot segment appears at any level of decoding. Decodes
 * only the characters that can form one.
 */
function hasDotSegment(segment: string): boolean {
  let text = segment;
  for (let depth = 0; depth <= MAX_ENCODING_DEPTH; depth++) {
    if (text.split(/[/\\]/).some((part) => part === "." || part === "..")) return true;
    const decoded = text.replace(/%(25|2e|2f|5c)/gi, (triplet) => decodeURIComponent(triplet));
    if (decoded === text) return false;
    text = decoded;
  }
  return true;
}
