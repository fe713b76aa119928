/** Cloudflare Access in front of each host name, asked by somebody who has not signed in. */
import { askAsStranger, serviceTokenHeaders } from "../../deployment/access.ts";
import type { Plan, PlannedHost } from "../../deployment/plan.ts";
import type { HttpAnswer } from "../../ports/http.ts";
import { type Check, type Dependencies, failure, passed, warning } from "../check.ts";

export const ADMIN_PATH = "/-/admin/sessions?limit=1";

/** One host name of a deployment. */
export type Host = Pick<Plan, "access"> & PlannedHost;

/** Access answers a request without sign-in, for the deployment's application. The Worker never does. */
export function accessCheck({ access, audiences, hostname, isForPeople }: Host, { http }: Dependencies): Check {
  return {
    id: `access:${hostname}`,
    run: async () => {
      // The Worker itself would answer the first of them to anybody.
      for (const path of ["/-/healthz", "/api"]) {
        const read = await askAsStranger(http, `https://${hostname}${path}`, access.teamDomain);
        if (read.by === "other") {
          return failure(
            `Access does not answer a request without sign-in (HTTP ${read.status})`,
            `add ${hostname} to the Access application, with all paths and no bypass policy: npx sallyport apply --plan shows the difference`,
          );
        }
        if (read.audience !== undefined && !audiences.includes(read.audience)) {
          return failure(
            "another Access application is in front",
            "the Worker refuses its tokens: remove the host name from that application, or deploy with its audience",
          );
        }
      }
      return passed(`a request without sign-in is ${isForPeople ? "sent to sign in" : "refused"}`);
    },
  };
}

/**
 * The admin API has an Access application of its own, which a sign-in to the other application does not open.
 */
export function adminAccessCheck({ access, hostname }: Host, { http, serviceToken }: Dependencies): Check {
  const url = `https://${hostname}${ADMIN_PATH}`;
  const advice = `create an Access application for ${hostname}/-/admin with the administrators' policy`;
  return {
    id: `access-admin:${hostname}`,
    run: async () => {
      const read = await askAsStranger(http, url, access.teamDomain);
      if (read.by === "other") {
        return failure(`Access does not answer a request without sign-in (HTTP ${read.status})`, advice);
      }
      if (read.audience !== undefined && !access.adminAudiences.includes(read.audience)) {
        return failure("the admin API has no Access application of its own", advice);
      }
      if (!serviceToken) {
        return passed("it has an application of its own (not tried with a service token)");
      }
      const tokenHeaders = serviceTokenHeaders(serviceToken);
      const cookie = signInCookie(await http({ url: `https://${hostname}/-/whoami`, headers: tokenHeaders }));
      if (cookie !== undefined && isAdmitted(await http({ url, headers: { cookie } }))) {
        return failure(
          "a sign-in to the other application opens the admin API",
          `${advice}, and set access.adminAudiences`,
        );
      }
      if (isAdmitted(await http({ url, headers: tokenHeaders }))) {
        return warning(
          "this service token may use the admin API",
          "use a token without that policy for programs that need no admin API",
        );
      }
      return passed("it has an application of its own, which refuses this service token");
    },
  };
}

const isAdmitted = ({ status }: HttpAnswer) => status === 200;

/** The cookie with the application's token, which Access sets when it admits a request. */
function signInCookie({ headers }: HttpAnswer): string | undefined {
  return /\bCF_Authorization=[^;,\s]+/.exec(headers["set-cookie"] ?? "")?.[0];
}

/** The team domain publishes the keys that the Worker verifies tokens with. */
export function signingKeysCheck({ teamDomain }: Pick<Plan["access"], "teamDomain">, { http }: Dependencies): Check {
  const url = `${teamDomain}/cdn-cgi/access/certs`;
  return {
    id: "signing-keys",
    run: async () => {
      const { status, body } = await http({ url });
      const keys = status === 200 ? countKeys(body) : 0;
      return keys > 0
        ? passed(`the team domain publishes ${keys} signing keys`)
        : failure(
            `the team domain publishes no signing keys (HTTP ${status})`,
            `check access.teamDomain: Zero Trust, Settings, shows it; ${url} must show keys`,
          );
    },
  };
}

function countKeys(body: string): number {
  try {
    const { keys } = JSON.parse(body) as { readonly keys?: unknown };
    return Array.isArray(keys) ? keys.length : 0;
  } catch {
    return 0;
  }
}
