import type { JWTPayload } from "jose";

/** Comes before a service token's common name, so that no email address can be a service's name. */
export const SERVICE_TOKEN_PREFIX = "service:";

/** Whom Access authenticated: a person, or a service token. */
export interface Subject {
  /**
   * In lower case: the email address, or `service:<common name>`. Names the user's object, and the user in
   * the audit log.
   */
  readonly name: string;
  readonly email: string | undefined;
  readonly commonName: string | undefined;
  /** The Access subject; empty for a service token. */
  readonly sub: string;
  /** When the token expires, ms since the epoch. */
  readonly expiresAt: number;
  /** The audience tags of the Access applications that the token is for. */
  readonly audiences: readonly string[];
  /** The verified token's payload. */
  readonly claims: JWTPayload;
}
