import type { Refusal } from "../refusal.ts";

/**
 * Tells whether a web page of another origin made this request.
 *
 * Access adds its token to whatever a signed-in browser sends, so a token is no proof that a person meant it: any page
 * could open a WebSocket to `…/exec` from the browser of someone signed in (WebSockets know no same-origin policy).
 * Browsers say where a request comes from in Sec-Fetch-Site and, on WebSockets and writes, in Origin; kubectl and other
 * clients send neither.
 *
 * @param url the request's own URL: its host is what Origin must name
 */
export function crossSiteDenial(headers: Headers, url: URL): Refusal | undefined {
  const site = headers.get("Sec-Fetch-Site");
  const origin = headers.get("Origin");
  const isForeign = (site !== null && site !== "same-origin" && site !== "none") || isForeignOrigin(origin, url);
  if (!isForeign) return undefined;
  return {
    code: "cross_site",
    message: "refused: a web page of another site made this request; use kubectl, or a page of this host",
  };
}

/** `null` as text is the origin of sandboxed frames and local files: as foreign as any. The scheme may differ behind TLS. */
function isForeignOrigin(origin: string | null, url: URL): boolean {
  if (origin === null) return false;
  try {
    return new URL(origin).host !== url.host;
  } catch {
    return true;
  }
}
