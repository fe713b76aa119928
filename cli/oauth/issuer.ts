/**
 * Which authorization servers may sign people in. Pure.
 *
 * A hostile host could name its own, whose sign-in page sends the browser on to an honest one. The honest
 * code would then be redeemed at the hostile token endpoint, with the PKCE verifier (mix-up: RFC 9700,
 * section 4.4). `iss` in the answer shows it (RFC 9207), but whether Access sends it is not documented. So
 * codes and refresh tokens go to Access only: to a team's domain, where nobody but Cloudflare answers.
 */
import type { AuthorizationServer } from "oauth4webapi";

const TEAM_DOMAIN = ".cloudflareaccess.com";

/**
 * @param issuer as the application's metadata names it
 * @param applicationOrigin where somebody signs in. The local stack's is on this machine, and has its own
 *   server
 * @param trusted another one that the person has named, of `SALLYPORT_AUTHORIZATION_SERVER`
 */
export function isTrustedIssuer(issuer: string, applicationOrigin: string, trusted: string | undefined): boolean {
  if (!URL.canParse(issuer)) return false;
  const { protocol, hostname, port, origin, username, password } = new URL(issuer);
  if (protocol !== "https:" || username !== "" || password !== "") return false;
  if (hostname.endsWith(TEAM_DOMAIN) && port === "") return true;
  if (isLocal(hostname) && isLocal(new URL(applicationOrigin).hostname)) return true;
  return trusted !== undefined && URL.canParse(trusted) && new URL(trusted).origin === origin;
}

/** @returns an endpoint that is at another host than its authorization server, if there is one */
export function foreignEndpoint(server: AuthorizationServer): string | undefined {
  const { issuer, authorization_endpoint, token_endpoint, registration_endpoint, revocation_endpoint } = server;
  const { origin } = new URL(issuer);
  return [authorization_endpoint, token_endpoint, registration_endpoint, revocation_endpoint].find(
    (endpoint) => endpoint !== undefined && !(URL.canParse(endpoint) && new URL(endpoint).origin === origin),
  );
}

/** Names of `.localhost` are this machine's, too: RFC 6761, section 6.3. */
function isLocal(hostname: string): boolean {
  return ["127.0.0.1", "[::1]", "localhost"].includes(hostname) || hostname.endsWith(".localhost");
}
