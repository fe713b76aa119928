/** Whether Cloudflare Access answered a request. Pure. */
import type { HttpAnswer } from "../ports/http.ts";

/** An Access service token. It is sent to the deployment's own host names only. */
export interface ServiceToken {
  readonly id: string;
  readonly secret: string;
}

export type AccessAnswer =
  /** Access answered, for the application with this audience tag, where the answer has one. */
  | { readonly by: "access"; readonly audience: string | undefined }
  /** Another server answered: the Worker past Access, or something else. */
  | { readonly by: "other" };

/** Access's sign-in page on the team domain. Its parameter `kid` is the application's audience tag. */
const LOGIN_PATH = "/cdn-cgi/access/login/";

/**
 * Tells whether Access answered. Access redirects to its sign-in page, or answers 401 or 403 with its own headers where only
 * service tokens are accepted or a token is wrong. The Worker's own refusals have neither.
 */
export function readAccessAnswer({ status, headers }: HttpAnswer, teamDomain: string): AccessAnswer {
  const location = URL.parse(headers["location"] ?? "");
  if (status >= 300 && status < 400 && location?.origin === teamDomain && location.pathname.startsWith(LOGIN_PATH)) {
    return { by: "access", audience: location.searchParams.get("kid") ?? headers["cf-access-aud"] };
  }
  if ((status === 401 || status === 403) && headers["cf-access-aud"] !== undefined) {
    return { by: "access", audience: headers["cf-access-aud"] };
  }
  return { by: "other" };
}

/** The headers that carry a service token (Cloudflare One, "Service tokens"). */
export function serviceTokenHeaders({ id, secret }: ServiceToken): Record<string, string> {
  return { "cf-access-client-id": id, "cf-access-client-secret": secret };
}

/** The service token in the environment, in the variables that cloudflared uses. */
export function serviceTokenOf(env: Readonly<Record<string, string | undefined>>): ServiceToken | undefined {
  const { CF_ACCESS_CLIENT_ID: id, CF_ACCESS_CLIENT_SECRET: secret } = env;
  return id && secret ? { id, secret } : undefined;
}
