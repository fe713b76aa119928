/** What Cloudflare Access makes of a request, read from its answer. Pure. */
import type { HttpAnswer } from "../ports/http.ts";

/** A service token's two halves. They are sent to the deployment's own host names and nowhere else. */
export interface ServiceToken {
  readonly id: string;
  readonly secret: string;
}

export type AccessAnswer =
  /** Access itself answered, for the application of this audience tag where it says which. */
  | { readonly by: "access"; readonly audience: string | undefined }
  /** Somebody else did: what is behind stands open, or is nothing of ours. */
  | { readonly by: "other" };

/** The path of Access's sign-in page on the team's domain; `kid` there is the application's audience tag. */
const LOGIN_PATH = "/cdn-cgi/access/login/";

/**
 * Tells whether Access answered: by a redirect to its sign-in on this team's domain, or, where only service tokens may pass
 * or a token was wrong, by 401 or 403 with its own headers. What the Worker itself refuses has neither.
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

/** The headers of a service token's request (Cloudflare One, "Service tokens"). */
export function serviceTokenHeaders({ id, secret }: ServiceToken): Record<string, string> {
  return { "cf-access-client-id": id, "cf-access-client-secret": secret };
}

/** The token that the environment names, as cloudflared and CI systems name it. */
export function serviceTokenOf(env: Readonly<Record<string, string | undefined>>): ServiceToken | undefined {
  const { CF_ACCESS_CLIENT_ID: id, CF_ACCESS_CLIENT_SECRET: secret } = env;
  return id && secret ? { id, secret } : undefined;
}
