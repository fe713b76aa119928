import { err, ok, type Result } from "../../common/result.ts";
import { type Denial, denial } from "../denials.ts";

/** The cookies of a browser that signed in to Access at this host name. */
const ACCESS_COOKIE = /(?:^|;)\s*CF_(?:Authorization|AppSession)/i;

/**
 * Refuses a request that a web page of another origin made.
 *
 * Access adds its token to whatever a signed-in browser sends, so a token is no proof that a person meant the
 * request. Any page could open a WebSocket to `…/exec` from that browser, since WebSockets have no
 * same-origin policy. Browsers say where a request comes from in Sec-Fetch-Site and, on WebSockets and
 * writes, in Origin. kubectl and other clients send neither.
 *
 * @param url the request's own URL: Origin must name its scheme and host
 * @param loopbackOrigins origins of pages that reach us through a program on the person's machine, such as
 *   `kubectl proxy`. It passes on the headers of the browser, whose page is of another origin than ours, but
 *   of the program's own.
 */
export function checkCrossSite(
  headers: Headers,
  url: URL,
  loopbackOrigins: readonly string[] = [],
): Result<null, Denial> {
  const site = headers.get("Sec-Fetch-Site");
  const isCrossSite = site !== null && site !== "same-origin" && site !== "none";
  if (isCrossSite) return err(CROSS_SITE);
  const origin = headers.get("Origin");
  if (origin === null || isOwnOrigin(origin, url)) return ok(null);
  return loopbackOrigins.includes(origin) && cameThroughProgram(headers, site) ? ok(null) : err(CROSS_SITE);
}

const CROSS_SITE = denial(
  "cross_site",
  "refused: a web page of another site made this request; use kubectl, or a page of this host",
);

/**
 * `null` is the origin of sandboxed frames and local files. A page without TLS may be anybody's, so it is
 * ours only where we have no TLS either. The other way round, TLS may end before us.
 */
function isOwnOrigin(origin: string, { protocol, host }: URL): boolean {
  const page = URL.parse(origin);
  return page?.host === host && (page.protocol === protocol || page.protocol === "https:");
}

/**
 * Tells a page that calls us through a program apart from the same page calling us directly. To the browser,
 * the program is the page's own origin. A direct call is cross-site, or comes with the cookie of our host.
 */
function cameThroughProgram(headers: Headers, site: string | null): boolean {
  return (site === null || site === "same-origin") && !ACCESS_COOKIE.test(headers.get("Cookie") ?? "");
}
