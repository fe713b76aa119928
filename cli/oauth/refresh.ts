/** Renews and revokes tokens at the authorization server. */
import * as oauth from "oauth4webapi";
import { PluginFailure } from "../failure.ts";
import type { Fetch } from "../net/https.ts";
import type { ApplicationRecord } from "../store/record.ts";
import { type Tokens, tokensFrom } from "../tokens.ts";
import { clientAuthentication, libraryClient } from "./client.ts";
import { fetchOption } from "./fetch-option.ts";
import { describeOauthError, oauthErrorCode } from "./oauth-error.ts";

export type Renewal =
  | { readonly kind: "renewed"; readonly tokens: Tokens }
  /** The grant has ended: it expired, was revoked, or its registration is gone. Only a new sign-in helps. */
  | { readonly kind: "ended"; readonly message: string }
  /** No answer, or one that says nothing about the grant. Later may help. */
  | { readonly kind: "failed"; readonly failure: PluginFailure };

/** The errors of RFC 6749, section 5.2, after which a new sign-in may succeed. */
const GRANT_ENDED = new Set(["invalid_grant", "invalid_client", "unauthorized_client"]);

/** Asks for new tokens. Never throws. */
export async function renew(
  record: ApplicationRecord,
  refreshToken: string,
  fetch: Fetch,
  nowMs: number,
): Promise<Renewal> {
  const { resource, client } = record;
  const { host } = new URL(record.application);
  try {
    const server = authorizationServer(record);
    const response = await oauth.refreshTokenGrantRequest(
      server,
      libraryClient(client),
      clientAuthentication(client),
      refreshToken,
      { additionalParameters: { resource }, ...fetchOption(fetch) },
    );
    const answer = await oauth.processRefreshTokenResponse(server, libraryClient(client), response);
    return { kind: "renewed", tokens: tokensFrom(answer, nowMs, refreshToken) };
  } catch (error) {
    if (error instanceof PluginFailure) return { kind: "failed", failure: error };
    const code = oauthErrorCode(error);
    const message = describeOauthError(error);
    if (code !== undefined && GRANT_ENDED.has(code)) return { kind: "ended", message };
    return {
      kind: "failed",
      failure: new PluginFailure(
        code === "access_denied" ? "access_refused" : "sign_in_failed",
        code === "access_denied"
          ? `Access no longer lets you in to ${host}: ${message}. Ask whoever maintains its Access policies`
          : `the sign-in to ${host} could not be renewed: ${message}. Try again; if this persists, run ` +
              '"kubectl sallyport login"',
      ),
    };
  }
}

/**
 * Revokes the grant (RFC 7009). Revoking the refresh token ends its access tokens, too, where the server can.
 *
 * @returns undefined, or why the grant may still hold
 */
export async function revoke(record: ApplicationRecord, tokens: Tokens, fetch: Fetch): Promise<string | undefined> {
  if (record.revocationEndpoint === undefined) return "the server has no revocation endpoint";
  const server = authorizationServer(record);
  const { client } = record;
  try {
    for (const token of [tokens.refreshToken, tokens.accessToken]) {
      if (token === undefined) continue;
      const response = await oauth.revocationRequest(
        server,
        libraryClient(client),
        clientAuthentication(client),
        token,
        fetchOption(fetch),
      );
      await oauth.processRevocationResponse(response);
    }
    return undefined;
  } catch (error) {
    return describeOauthError(error);
  }
}

function authorizationServer({
  issuer,
  tokenEndpoint,
  revocationEndpoint,
}: ApplicationRecord): oauth.AuthorizationServer {
  return {
    issuer,
    token_endpoint: tokenEndpoint,
    ...(revocationEndpoint !== undefined && { revocation_endpoint: revocationEndpoint }),
  };
}
