/** Whether Cloudflare Access answered a request. */
import type { Http, HttpAnswer } from "../ports/http.ts";

/** An Access service token. It is sent to the deployment's own host names only. */
export interface ServiceToken {
  readonly id: string;
  readonly secret: string;
}

export type AccessAnswer =
  | {
      readonly by: "access";
      /** The application's audience tag, where the answer has one. */
      readonly audience: string | undefined;
      /** Where Managed OAuth is on: the address of the protected resource's metadata (RFC 9728). */
      readonly metadata?: string;
    }
  /** Another server answered: the Worker past Access, or something else. */
  | { readonly by: "other" };

/** Access's sign-in page on the team domain. Its parameter `kid` is the application's audience tag. */
const LOGIN_PATH = "/cdn-cgi/access/login/";

/** The challenge of Managed OAuth: RFC 9728, section 5.1. */
const RESOURCE_METADATA = /\bresource_metadata="([^"]+)"/i;

/**
 * Tells whether Access answered. Access redirects to its sign-in page. With Managed OAuth it answers clients
 * other than browsers with 401 and a challenge. It answers 401 or 403 with its own headers where only service
 * tokens are accepted or a token is wrong. The Worker's own refusals have none of these.
 */
export function readAccessAnswer({ status, headers }: HttpAnswer, teamDomain: string): AccessAnswer {
  const location = URL.parse(headers["location"] ?? "");
  if (status >= 300 && status < 400 && location?.origin === teamDomain && location.pathname.startsWith(LOGIN_PATH)) {
    return { by: "access", audience: location.searchParams.get("kid") ?? headers["cf-access-aud"] };
  }
  const metadata = RESOURCE_METADATA.exec(headers["www-authenticate"] ?? "")?.[1];
  if (status === 401 && metadata !== undefined) {
    return { by: "access", audience: headers["cf-access-aud"], metadata };
  }
  if ((status === 401 || status === 403) && headers["cf-access-aud"] !== undefined) {
    return { by: "access", audience: headers["cf-access-aud"] };
  }
  return { by: "other" };
}

/**
 * What a browser sends when somebody opens a page: such a client is sent to sign in, with or without Managed
 * OAuth.
 */
const BROWSER_HEADERS = {
  accept: "text/html,application/xhtml+xml",
  "sec-fetch-dest": "document",
  "sec-fetch-mode": "navigate",
  "user-agent": "Mozilla/5.0 (sallyport)",
} as const;

/** The answer to somebody who has not signed in. */
export type StrangersAnswer = AccessAnswer & { readonly status: number };

/**
 * Asks as somebody who has not signed in. A challenge of Managed OAuth names no application, so its audience
 * is asked for as a browser.
 */
export async function askAsStranger(http: Http, url: string, teamDomain: string): Promise<StrangersAnswer> {
  const answer = await http({ url });
  const read = readAccessAnswer(answer, teamDomain);
  const { status } = answer;
  if (read.by === "other" || read.audience !== undefined || read.metadata === undefined) return { ...read, status };
  const browsers = readAccessAnswer(await http({ url, headers: BROWSER_HEADERS }), teamDomain);
  return browsers.by === "other" ? { ...browsers, status } : { ...read, audience: browsers.audience, status };
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
