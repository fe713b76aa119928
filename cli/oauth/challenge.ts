/** What an answer without credentials says about how to sign in. Pure. */

export type Reading =
  /** Managed OAuth is on (RFC 9728, section 5.1). */
  | { readonly kind: "challenge"; readonly resourceMetadata: string | undefined }
  /** Answered without a credential: WARP signs in, or nothing stands in front. */
  | { readonly kind: "open" }
  /** Access sends everybody to its sign-in page: Managed OAuth is off. */
  | { readonly kind: "browser-page" }
  | { readonly kind: "refused"; readonly status: number };

/**
 * Reads the answer to a request without credentials.
 *
 * @param wwwAuthenticate the header's values, joined with commas
 */
export function readUnauthenticated(status: number, wwwAuthenticate: string | null): Reading {
  if (status === 401 && wwwAuthenticate !== null && /(?:^|,\s*)bearer(?:\s|$|,)/i.test(wwwAuthenticate)) {
    return { kind: "challenge", resourceMetadata: parameter(wwwAuthenticate, "resource_metadata") };
  }
  if (status >= 200 && status < 300) return { kind: "open" };
  if (status >= 300 && status < 400) return { kind: "browser-page" };
  return { kind: "refused", status };
}

/** A parameter of a challenge, as a quoted string or a token (RFC 9110, section 11.2). */
function parameter(challenge: string, name: string): string | undefined {
  const [, quoted, token] =
    new RegExp(`(?:^|[\\s,])${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))`, "i").exec(challenge) ?? [];
  return quoted?.replace(/\\(.)/g, "$1") ?? token;
}
