/** The life of a sign-in's tokens: when one is used, renewed, or nobody is signed in. Pure. */

/** Tokens as they are stored. Times are of this machine's clock, so a server's clock never matters. */
export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken?: string;
  readonly obtainedAtMs: number;
  readonly expiresAtMs: number;
}

/** What a token endpoint answers (RFC 6749, section 5.1). */
export interface TokenAnswer {
  readonly access_token: string;
  readonly refresh_token?: string | undefined;
  /** Seconds. A server may say any number. */
  readonly expires_in?: number | undefined;
}

export type TokenDecision =
  | { readonly kind: "use"; readonly tokens: Tokens }
  | { readonly kind: "refresh"; readonly refreshToken: string }
  | { readonly kind: "sign-in"; readonly because: "never" | "expired" };

/** A token is renewed this long before it expires, or a third of its life before, if that is less. */
const RENEW_BEFORE_EXPIRY_MS = 60_000;
/** A clock that was set back by more than this says nothing about the token's age. */
const CLOCK_TOLERANCE_MS = 60_000;
/** The least lifetime that Cloudflare recommends, for a server that does not say. */
const ASSUMED_LIFETIME_SECONDS = 300;
/**
 * As long as Access lets a session last. Whatever a server says beyond that, the token is renewed earlier.
 */
const MAX_LIFETIME_SECONDS = 31 * 24 * 60 * 60;
/** The last moment that a timestamp of RFC 3339 can name. */
const MAX_TIME_MS = Date.parse("9999-12-31T23:59:59Z");

/**
 * What to do for a token at a time.
 *
 * @param isRejected the server refused the access token, whatever its age
 */
export function decideToken(
  tokens: Tokens | undefined,
  nowMs: number,
  { isRejected = false }: { readonly isRejected?: boolean } = {},
): TokenDecision {
  if (tokens === undefined) return { kind: "sign-in", because: "never" };
  if (!isRejected && nowMs < askAgainAtMs(tokens) && !isClockSetBack(tokens, nowMs)) return { kind: "use", tokens };
  if (tokens.refreshToken === undefined) return { kind: "sign-in", because: "expired" };
  return { kind: "refresh", refreshToken: tokens.refreshToken };
}

/**
 * When a client shall ask for a token again: before it expires, so that no request goes out with an old one.
 */
export function askAgainAtMs({ obtainedAtMs, expiresAtMs }: Tokens): number {
  return expiresAtMs - Math.min(RENEW_BEFORE_EXPIRY_MS, (expiresAtMs - obtainedAtMs) / 3);
}

/** @returns whether the token still counts. For when it cannot be renewed at the moment */
export function isUsable(tokens: Tokens, nowMs: number): boolean {
  return nowMs < tokens.expiresAtMs && !isClockSetBack(tokens, nowMs);
}

function isClockSetBack({ obtainedAtMs }: Tokens, nowMs: number): boolean {
  return nowMs < obtainedAtMs - CLOCK_TOLERANCE_MS;
}

/**
 * The tokens after an answer of the token endpoint.
 *
 * @param requestedAtMs when the request was sent: counting from the answer would keep a token too long
 * @param earlier an answer without a refresh token leaves the earlier one valid (RFC 6749, section 6)
 */
export function tokensFrom(answer: TokenAnswer, requestedAtMs: number, earlier?: string): Tokens {
  const refreshToken = answer.refresh_token ?? earlier;
  return {
    accessToken: answer.access_token,
    ...(refreshToken !== undefined && { refreshToken }),
    obtainedAtMs: requestedAtMs,
    expiresAtMs: requestedAtMs + lifetimeSeconds(answer.expires_in) * 1000,
  };
}

function lifetimeSeconds(said: number | undefined): number {
  if (said === undefined || Number.isNaN(said)) return ASSUMED_LIFETIME_SECONDS;
  return Math.min(Math.max(said, 0), MAX_LIFETIME_SECONDS);
}

/** @returns whether a stored time is one that can be shown to a client */
export function isTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= MAX_TIME_MS;
}
