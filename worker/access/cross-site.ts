import { err, ok, type Result } from "../../common/result.ts";
import { type Denial, denial } from "../denials.ts";

/**
 * Refuses a request that a web page of another origin made.
 *
 * Access adds its token to whatever a signed-in browser sends, so a token is no proof that a person meant the
 * request. Any page could open a WebSocket to `…/exec` from that browser, since WebSockets have no
 * same-origin policy. Browsers say where a request comes from in Sec-Fetch-Site and, on WebSockets and
 * writes, in Origin. kubectl and other clients send neither.
 *
 * @param url the request's own URL: Origin must name its host
 */
export function checkCrossSite(headers: Headers, url: URL): Result<null, Denial> {
  const site = headers.get("Sec-Fetch-Site");
  const isCrossSite = site !== null && site !== "same-origin" && site !== "none";
  return isCrossSite || isForeignOrigin(headers.get("Origin"), url) ? err(CROSS_SITE) : ok(null);
}

const CROSS_SITE = denial(
  "cross_site",
  "refused: a web page of another site made this request; use kubectl, or a page of this host",
);

/**
 * `null` is the origin of sandboxed frames and local files. Schemes may differ, since TLS may end before us.
 */
function isForeignOrigin(origin: string | null, url: URL): boolean {
  if (origin === null) return false;
  return URL.parse(origin)?.host !== url.host;
}
