import type { JWTPayload } from "jose";

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
