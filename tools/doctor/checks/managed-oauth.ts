/** Managed OAuth as a client without a browser meets it: a challenge, and metadata that lead to a sign-in. */
import * as z from "zod";
import { foreignEndpoint, isTrustedIssuer } from "../../../cli/oauth/issuer.ts";
import { parseJson } from "../../../common/json.ts";
import { askAsStranger } from "../../deployment/access.ts";
import { type Check, type Dependencies, type Finding, failure, passed, skipped, warning } from "../check.ts";
import { ADMIN_PATH, type Host } from "./access.ts";

/** RFC 8414. What kubectl-sallyport needs of it. */
const metadata = z.object({
  issuer: z.url(),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
  registration_endpoint: z.url(),
  code_challenge_methods_supported: z.array(z.string()).default([]),
});

/** RFC 9728. */
const resource = z.object({ resource: z.url(), authorization_servers: z.array(z.url()).min(1) });

/** People can sign in to the clusters with kubectl-sallyport. */
export function managedOAuthCheck(host: Host, dependencies: Dependencies): Check {
  return oauthCheck("oauth", "/version", host, dependencies, (message) =>
    failure(message, 'apply the edge stack; "doctor --only oauth-configuration" reads what Access has'),
  );
}

/**
 * Administrators can sign in to the application for `/-/admin` the same way. Cloudflare documents Managed
 * OAuth for applications of a host name, and does not say how it works for one of a path. So this is a
 * warning, and there is another way.
 */
export function adminOAuthCheck(host: Host, dependencies: Dependencies): Check {
  return oauthCheck("oauth-admin", ADMIN_PATH, host, dependencies, (message) =>
    warning(
      `${message} on the application for /-/admin`,
      "administrators sign in with cloudflared: docs/DEPLOY.md, How people and machines sign in",
    ),
  );
}

function oauthCheck(
  id: string,
  path: string,
  { access, hostname }: Host,
  { http }: Dependencies,
  problem: (message: string) => Finding,
): Check {
  const readJson = async <T>(url: string, schema: z.ZodType<T>): Promise<T | undefined> => {
    const { status, body } = await http({ url, headers: { accept: "application/json" } });
    return status === 200 ? schema.safeParse(parseJson(body)).data : undefined;
  };
  return {
    id: `${id}:${hostname}`,
    run: async () => {
      if (!access.signIn.oauth) return passed("Managed OAuth is off, as the deployment file says");
      const url = `https://${hostname}${path}`;
      const stranger = await askAsStranger(http, url, access.teamDomain);
      if (stranger.by === "other")
        return skipped(`it is not Access that answers there: see access:${hostname} and access-admin`);
      if (stranger.metadata === undefined) {
        return problem(`Access answers a client without a browser ${stranger.status}, without an OAuth challenge`);
      }
      // Only of the host itself or the team: a challenge may not send the doctor elsewhere.
      const origins = [`https://${hostname}`, access.teamDomain];
      const isOurs = (address: string) => origins.includes(URL.parse(address)?.origin ?? "");
      if (!isOurs(stranger.metadata)) return problem("its challenge names metadata of another host");
      const protectedResource = await readJson(stranger.metadata, resource);
      if (!protectedResource) return problem("the protected resource has no metadata (RFC 9728)");
      const [issuer = ""] = protectedResource.authorization_servers;
      if (!isOurs(issuer)) return problem("the protected resource names an authorization server of another host");
      const server = await readJson(metadataOf(issuer), metadata);
      if (!server) return problem("the authorization server has no usable metadata (RFC 8414)");
      if (foreignEndpoint(server)) return problem("the authorization server names an endpoint at another host");
      if (!server.code_challenge_methods_supported.includes("S256")) return problem("PKCE with S256 is not offered");
      const found = "a client without a browser gets 401, and finds where to sign in";
      // It passes: Cloudflare does not document which of the two it is.
      return passed(
        isTrustedIssuer(issuer, url, undefined)
          ? found
          : `${found}. kubectl-sallyport takes ${issuer} only where SALLYPORT_AUTHORIZATION_SERVER names it`,
      );
    },
  };
}

/** RFC 8414, section 3: the well-known part goes between the host and the issuer's path. */
function metadataOf(issuer: string): string {
  const { origin, pathname } = new URL(issuer);
  return `${origin}/.well-known/oauth-authorization-server${pathname === "/" ? "" : pathname}`;
}
