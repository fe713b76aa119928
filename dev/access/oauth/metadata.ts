/** What clients discover: RFC 8414 for the authorization server, RFC 9728 for what it protects. */
import { APPLICATION_PATHS, type ApplicationName, applicationAt } from "../applications.ts";

/** Where Access has its endpoints, on the team's domain. Here they are on the applications' own address. */
export const OAUTH_PATHS = {
  authorization: "/cdn-cgi/access/oauth/authorization",
  token: "/cdn-cgi/access/oauth/token",
  registration: "/cdn-cgi/access/oauth/registration",
  revocation: "/cdn-cgi/access/oauth/revoke",
} as const;

const AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server";
/** RFC 9728's own name, and the one that Access's challenges point to. */
const PROTECTED_RESOURCE = [
  "/.well-known/oauth-protected-resource",
  "/.well-known/cloudflare-access-protected-resource",
];

/** @returns what an application is called as a resource, at a host name of it */
export function resourceOf(application: ApplicationName, origin: string): string {
  return application === "host" ? origin : `${origin}${APPLICATION_PATHS[application]}`;
}

/** @returns where Access says what the resource at a path is */
export function resourceMetadataUrl(origin: string, pathname: string): string {
  return `${origin}${PROTECTED_RESOURCE[1]}${pathname}`;
}

/**
 * The documents under `/.well-known/`. Each is also served with a path behind its name, as RFC 8414 (section
 * 3.1) and RFC 9728 (section 3.1) have it for issuers and resources with a path.
 *
 * @param origin the address that was asked
 * @param server the authorization server, which is the same for all host names
 * @returns undefined for a path that is none of theirs
 */
export function discoveryDocument(
  pathname: string,
  origin: string,
  server: string,
): Readonly<Record<string, unknown>> | undefined {
  const below = (prefix: string) =>
    pathname === prefix || pathname.startsWith(`${prefix}/`) ? pathname.slice(prefix.length) : undefined;
  const issuerPath = below(AUTHORIZATION_SERVER);
  if (issuerPath !== undefined) {
    const path = issuerPath.replace(/\/$/, "");
    // The issuer must be what the client asked for (RFC 8414, section 3.3). Applications with a path may be
    // asked, too.
    const isIssuer = path === "" || path === APPLICATION_PATHS.admin;
    return isIssuer ? authorizationServerMetadata(`${server}${path}`, server) : undefined;
  }
  for (const prefix of PROTECTED_RESOURCE) {
    const path = below(prefix);
    if (path === undefined) continue;
    const application = applicationAt(path);
    return {
      resource: resourceOf(application, origin),
      protected: true,
      authorization_servers: [server],
      bearer_methods_supported: ["header"],
      resource_name: `Sallyport's local stack${application === "admin" ? " (administrators)" : ""}`,
    };
  }
  return undefined;
}

function authorizationServerMetadata(issuer: string, server: string): Readonly<Record<string, unknown>> {
  return {
    issuer,
    authorization_endpoint: server + OAUTH_PATHS.authorization,
    token_endpoint: server + OAUTH_PATHS.token,
    registration_endpoint: server + OAUTH_PATHS.registration,
    revocation_endpoint: server + OAUTH_PATHS.revocation,
    jwks_uri: `${server}/cdn-cgi/access/certs`,
    response_types_supported: ["code"],
    response_modes_supported: ["query"],
    grant_types_supported: ["authorization_code", "refresh_token"],
    token_endpoint_auth_methods_supported: ["none"],
    revocation_endpoint_auth_methods_supported: ["none"],
    code_challenge_methods_supported: ["S256"],
  };
}
