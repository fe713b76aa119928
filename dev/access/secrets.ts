/** Secrets that the fake hands out. It keeps their hashes only. */
import { base64url } from "jose";

/** @returns 256 random bits, as text */
export function randomSecret(): string {
  return base64url.encode(crypto.getRandomValues(new Uint8Array(32)));
}

/**
 * @returns the SHA-256 of a text in base64url, which is also what PKCE's S256 compares (RFC 7636, section
 *   4.2)
 */
export async function hashText(text: string): Promise<string> {
  return base64url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))));
}
