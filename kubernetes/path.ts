/**
 * Which paths are too ambiguous to pass on.
 *
 * The API server routes and authorises on the percent-DECODED path. It has no ServeMux in front, so nothing cleans the
 * path for it: `pods/foo%2Fexec` is an exec, and `//` or `/../` are segments like any other. What stands between us and
 * it (URL parsers, a tunnel, `kubectl proxy` with its ServeMux) does clean paths, each in its own way. A path that two of
 * these read differently can be one request to us and another to the API server, so it is refused instead of interpreted.
 * Real clients send none: a Kubernetes name can hold neither `/` nor `%`, nor be `.` or `..`
 * (IsPathSegmentName in apimachinery).
 */

/** How often an escape may be escaped again before we stop looking. Bounds the work on `%252525…`. */
const MAX_ENCODING_DEPTH = 4;

/** Characters no client of the Kubernetes API has a use for in a path: C0, C1 (`Cc`) and the line separators. */
const CONTROL_CHARACTER = /[\p{Cc}\u2028\u2029]/u;

/** The parts of a URL that the API server decides on. A `URL` is one. */
export interface RequestTarget {
  readonly pathname: string;
  readonly search: string;
}

/**
 * Takes path and query out of a request's URL as the client spelled them.
 *
 * In workerd `request.url` keeps the client's spelling, while `new URL` and `fetch` resolve `/../`, `/%2e%2e/` and `\`.
 * Only the spelled path shows that somebody tried; once it is clear of those, all three agree.
 *
 * @param requestUrl an absolute URL. A fragment is left out, as it is never sent. Anything else gives an empty path,
 *   which `pathAmbiguity` refuses.
 */
export function rawRequestTarget(requestUrl: string): RequestTarget {
  // A backslash ends the host for URL parsers, so it has to here: the path then begins with it and is refused. And where
  // there is no host they take the path's first segment for one.
  const match = /^https?:\/\/[^/\\?#]+([^?#]*)(\?[^#]*)?/i.exec(requestUrl);
  if (match === null) return { pathname: "", search: "" };
  return { pathname: match[1] || "/", search: match[2] ?? "" };
}

/**
 * Decodes a URL's pathname as Go's net/url does for `URL.Path`: every escape once, `+` left alone.
 *
 * @returns the decoded path, or undefined for a broken escape (Go answers 400 as well) or for bytes that are not UTF-8
 *   (Go would pass them on; a string here cannot hold them, so nothing could be compared faithfully).
 */
export function decodePathname(rawPathname: string): string | undefined {
  if (!rawPathname.isWellFormed()) return undefined;
  try {
    // Not TextDecoder: its default drops a leading U+FEFF, and `%EF%BB%BFexec` is not `exec` to the API server.
    return decodeURIComponent(rawPathname);
  } catch {
    return undefined;
  }
}

/**
 * Says why a path is refused outright, whatever it may lead to.
 *
 * For a path that passes, decoding it, normalising it as a WHATWG URL and then decoding it, and cleaning it as Go's
 * ServeMux does all give the same segments up to the start of a proxied tail. That is what classification rests on.
 *
 * @param rawPathname the pathname with its escapes, best from `spelledTarget`. `new URL(…).pathname` will do where that is
 *   what is sent on: dot segments are then gone from both.
 * @returns a reason for a person, or undefined when the path is clear.
 */
export function pathAmbiguity(rawPathname: string): string | undefined {
  if (!rawPathname.startsWith("/")) return "the path does not start with a slash";
  const segments = rawPathname.slice(1).split("/");
  // One slash at the end is common and harmless: the API server trims it, and so does its router.
  if (segments.at(-1) === "") segments.pop();
  const tailStart = proxiedTailStart(segments);
  for (const [index, segment] of segments.entries()) {
    const reason = index < tailStart ? segmentAmbiguity(segment) : tailSegmentAmbiguity(segment);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/**
 * Where the path stops being Kubernetes' and becomes a workload's own: after `…/{pods|services}/{name}/proxy`.
 *
 * Compared as spelled, undecoded, on purpose: someone who writes `%70roxy` gets the strict rules to the end. Nodes are
 * left out because their proxied tail is the kubelet's API, where `exec` and `run` live.
 */
function proxiedTailStart(segments: readonly string[]): number {
  const [prefix, version, namespaces, , resource, , subresource] = segments;
  const proxied =
    prefix === "api" &&
    version === "v1" &&
    namespaces === "namespaces" &&
    (resource === "pods" || resource === "services") &&
    subresource === "proxy";
  return proxied ? 7 : Number.POSITIVE_INFINITY;
}

function segmentAmbiguity(segment: string): string | undefined {
  if (segment === "") return "the path has an empty segment (two slashes in a row)";
  const decoded = decodePathname(segment);
  if (decoded === undefined) return "the path has a broken percent-escape or is not UTF-8";
  if (decoded === "." || decoded === "..") return "the path has a dot segment";
  if (decoded.includes("/")) return "the path has an encoded slash (%2F)";
  if (decoded.includes("%")) return "the path is percent-encoded twice";
  return characterAmbiguity(decoded);
}

/**
 * The rules below a `proxy` subresource, where any path can be legitimate.
 *
 * By then the first seven segments are read and clear, so the request is this pod's or service's proxy whatever follows:
 * doubled slashes, `%2F` and `%25` only name something else inside the workload. The one way out is upwards, so a dot
 * segment is refused however often it is encoded: a hop that decodes once too often must not climb either.
 */
function tailSegmentAmbiguity(segment: string): string | undefined {
  const decoded = decodePathname(segment);
  if (decoded === undefined) return "the path has a broken percent-escape or is not UTF-8";
  if (climbs(segment)) return "the path below proxy has a dot segment";
  return characterAmbiguity(decoded);
}

function characterAmbiguity(decoded: string): string | undefined {
  // URL parsers turn a raw backslash into a slash and leave an encoded one alone; Go does neither.
  if (decoded.includes("\\")) return "the path has a backslash";
  if (CONTROL_CHARACTER.test(decoded)) return "the path has a control character";
  return undefined;
}

/** Whether any depth of decoding gives a dot segment. Decodes only what can make one, and never throws on the rest. */
function climbs(segment: string): boolean {
  let text = segment;
  for (let depth = 0; depth <= MAX_ENCODING_DEPTH; depth++) {
    if (text.split(/[/\\]/).some((part) => part === "." || part === "..")) return true;
    const decoded = text.replace(/%(25|2e|2f|5c)/gi, (triplet) => decodeURIComponent(triplet));
    if (decoded === text) return false;
    text = decoded;
  }
  return true;
}
