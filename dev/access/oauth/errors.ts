/** An error of OAuth: a code that clients know, and what to do about it. */
export interface OAuthError {
  /** Of RFC 6749 (sections 4.1.2.1 and 5.2), RFC 7591 (section 3.2.2) or RFC 8707 (section 2). */
  readonly error: string;
  readonly description: string;
}

/** Makes an error. */
export function oauthError(error: string, description: string): OAuthError {
  return { error, description };
}
