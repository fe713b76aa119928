/** What goes wrong at an authorization server, as a message without tokens. */
import * as oauth from "oauth4webapi";
import { messageOf } from "../../common/errors.ts";
import { PluginFailure } from "../failure.ts";

/** The `error` of OAuth that was answered, if any. */
export function oauthErrorCode(error: unknown): string | undefined {
  if (error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError) return error.error;
  if (error instanceof oauth.WWWAuthenticateChallengeError) return error.cause[0]?.parameters.error ?? "unauthorized";
  return undefined;
}

/** Takes only what the standards give to people: an error's `cause` may hold a whole response. */
export function describeOauthError(error: unknown): string {
  if (error instanceof PluginFailure) return error.message;
  const code = oauthErrorCode(error);
  if (code === undefined) return messageOf(error);
  const description =
    error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError
      ? error.error_description
      : undefined;
  return description === undefined ? code : `${code} (${description})`;
}
