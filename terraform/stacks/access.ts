/** The Access applications in front of the clusters' host names, their policies, and service tokens. */
import {
  ZeroTrustAccessApplication,
  type ZeroTrustAccessApplicationConfig,
  type ZeroTrustAccessApplicationPolicies,
} from "@cdktf/provider-cloudflare/lib/zero-trust-access-application/index.js";
import {
  ZeroTrustAccessPolicy,
  type ZeroTrustAccessPolicyInclude,
  type ZeroTrustAccessPolicyRequire,
} from "@cdktf/provider-cloudflare/lib/zero-trust-access-policy/index.js";
import type { Construct } from "constructs";
import type { ProviderGroup, Requirement, Who } from "../config/access.ts";
import { type Audience, peoplePolicy, servicesPolicy } from "../config/access-policies.ts";
import type { Deployment } from "../config/schema.ts";
import { serviceTokenHostnameOf } from "../config/service-tokens.ts";
import { literal } from "./literal.ts";

/**
 * How many host names an application may have by default.
 * https://developers.cloudflare.com/cloudflare-one/account-limits/
 */
const HOSTNAMES_PER_APPLICATION = 5;

/** The path of the admin API. For Access the longer path wins over the host name's own application. */
const ADMIN_PATH = "/-/admin";

export interface AccessResources {
  /** In the order of the clusters' host names. */
  readonly applications: readonly ZeroTrustAccessApplication[];
  /** Those for the admin API, in the same order. */
  readonly adminApplications: readonly ZeroTrustAccessApplication[];
  /** Those for service tokens; none where they use the people's. */
  readonly serviceTokenApplications: readonly ZeroTrustAccessApplication[];
}

/** An expression for the id of a service token of this name. */
type TokenId = (name: string) => string;

/** Creates reusable policies and applications. */
export function accessResources(scope: Construct, deployment: Deployment, tokenId: TokenId): AccessResources {
  const { name, account: accountId, access, clusters } = deployment;
  const hostnames = clusters.flatMap((cluster) => cluster.hostnames);
  const common = {
    accountId,
    type: "self_hosted",
    // The host names are for kubectl, not for people to visit.
    appLauncherVisible: false,
    httpOnlyCookieAttribute: true,
    // With "strict" the cookie would not be sent after the sign-in. The Worker itself refuses requests of
    // other sites.
    sameSiteCookieAttribute: "lax",
    // It needs a second cookie, which WARP sessions and clients other than browsers do not have.
    enableBindingCookie: false,
    // Access must see every request.
    optionsPreflightBypass: false,
    ...(access.identityProviders.length > 0 && { allowedIdps: [...access.identityProviders] }),
  };
  const { people: users, services } = policies(scope, deployment, tokenId, {
    kind: "user",
    who: access.allow,
    require: access.require,
    sessionDuration: access.sessionDuration,
  });
  const serviceTokenHostnames = clusters.flatMap((cluster) => serviceTokenHostnameOf(deployment, cluster) ?? []);
  const areApart = serviceTokenHostnames.length > 0;
  const admins = policies(scope, deployment, tokenId, {
    kind: "admin",
    who: access.admins,
    require: access.adminRequire,
    sessionDuration: access.adminSessionDuration,
  });
  const auditors = policies(scope, deployment, tokenId, {
    kind: "auditor",
    who: access.auditors,
    require: access.adminRequire,
    sessionDuration: access.adminSessionDuration,
  });
  return {
    applications: chunks(hostnames).map((hosts, index) =>
      application(
        scope,
        numbered("application", index),
        {
          ...common,
          name: numbered(name, index),
          destinations: hosts.map((uri) => ({ type: "public", uri })),
          domain: hosts[0] ?? "",
          policies: inOrder(areApart ? users : [...services, ...users]),
          sessionDuration: access.sessionDuration,
          // Only where it is wanted: without a WARP session duration in the account, the API refuses even
          // `false`.
          ...(access.warp && { allowAuthenticateViaWarp: true }),
        },
        access.oauth,
        access.oauth.sessionDuration,
      ),
    ),
    adminApplications: chunks(hostnames).map((hosts, index) =>
      application(
        scope,
        numbered("admin-application", index),
        {
          ...common,
          name: numbered(`${name}-admin`, index),
          destinations: hosts.map((host) => ({ type: "public", uri: `${host}${ADMIN_PATH}` })),
          domain: `${hosts[0] ?? ""}${ADMIN_PATH}`,
          policies: inOrder([...admins.services, ...auditors.services, ...admins.people, ...auditors.people]),
          // No sign-in by WARP, which is off by default: administrators sign in themselves.
          sessionDuration: access.adminSessionDuration,
          // The cookie is for this path only, and does not replace the other application's on the same host.
          pathCookieAttribute: true,
        },
        access.oauth,
        access.oauth.adminSessionDuration ?? access.adminSessionDuration,
      ),
    ),
    serviceTokenApplications: chunks(serviceTokenHostnames).map(
      (hosts, index) =>
        new ZeroTrustAccessApplication(scope, numbered("service-token-application", index), {
          ...common,
          name: numbered(`${name}-service-tokens`, index),
          destinations: hosts.map((uri) => ({ type: "public", uri })),
          domain: hosts[0] ?? "",
          policies: inOrder(services),
          sessionDuration: access.sessionDuration,
          // A program without a token is refused, not sent to a page where people sign in.
          serviceAuth401Redirect: true,
        }),
    ),
  };
}

/**
 * An application, with Managed OAuth where the deployment has it.
 *
 * https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/managed-oauth/
 *
 * @param sessionDuration how long a client renews its access tokens without another sign-in
 */
function application(
  scope: Construct,
  id: string,
  config: ZeroTrustAccessApplicationConfig,
  { enabled, accessTokenLifetime }: Deployment["access"]["oauth"],
  sessionDuration: string,
): ZeroTrustAccessApplication {
  const made = new ZeroTrustAccessApplication(scope, id, config);
  if (!enabled) return made;
  // Provider 5.19 has the field, the binding of 5.14 does not.
  made.addOverride("oauth_configuration", {
    enabled: true,
    dynamic_client_registration: {
      enabled: true,
      // The plugin listens on 127.0.0.1 or ::1. `localhost` is a name, which somebody may point elsewhere.
      allow_any_on_loopback: true,
      allow_any_on_localhost: false,
      allowed_uris: [],
    },
    grant: { access_token_lifetime: accessTokenLifetime, session_duration: sessionDuration },
  });
  return made;
}

interface PolicyKind {
  readonly kind: Audience;
  readonly who: readonly Who[];
  readonly require: readonly Requirement[];
  /** Access takes the policy's before the application's, and the provider's default for policies is 24 h. */
  readonly sessionDuration: string;
}

/** The policies of people, and of service tokens, which come first. */
function policies(
  scope: Construct,
  deployment: Deployment,
  tokenId: TokenId,
  { kind, who, require, sessionDuration }: PolicyKind,
): { readonly services: readonly ZeroTrustAccessPolicy[]; readonly people: readonly ZeroTrustAccessPolicy[] } {
  const services = who.flatMap((one) => ("serviceToken" in one ? [tokenId(one.serviceToken)] : []));
  const people = who.flatMap((one) => ("serviceToken" in one ? [] : [include(one)]));
  const { account: accountId } = deployment;
  const made = { services: [] as ZeroTrustAccessPolicy[], people: [] as ZeroTrustAccessPolicy[] };
  if (services.length > 0) {
    made.services.push(
      new ZeroTrustAccessPolicy(scope, `${kind}-services`, {
        accountId,
        ...servicesPolicy(deployment, kind),
        sessionDuration,
        include: services.map((id) => ({ serviceToken: { tokenId: id } })),
        // Programs have a network and a country, but no device posture and no login method.
        ...required(require.filter((one) => "ip" in one || "country" in one)),
      }),
    );
  }
  if (people.length > 0) {
    made.people.push(
      new ZeroTrustAccessPolicy(scope, `${kind}-people`, {
        accountId,
        ...peoplePolicy(deployment, kind),
        sessionDuration,
        include: people,
        ...required(require),
      }),
    );
  }
  return made;
}

/** The first that matches somebody decides. */
function inOrder(policies: readonly ZeroTrustAccessPolicy[]): ZeroTrustAccessApplicationPolicies[] {
  return policies.map(({ id }, index) => ({ id, precedence: index + 1 }));
}

function include(who: Exclude<Who, { serviceToken: string }>): ZeroTrustAccessPolicyInclude {
  if ("email" in who) return literal({ email: { email: who.email } });
  if ("emailDomain" in who) return literal({ emailDomain: { domain: who.emailDomain } });
  if ("accessGroup" in who) return { group: { id: who.accessGroup } };
  return literal(includeGroup(who.group));
}

function includeGroup(group: ProviderGroup): ZeroTrustAccessPolicyInclude {
  const { identityProvider: identityProviderId } = group;
  switch (group.kind) {
    case "okta":
      return { okta: { identityProviderId, name: group.name } };
    case "entra":
      return { azureAd: { identityProviderId, id: group.id } };
    case "google":
      return { gsuite: { identityProviderId, email: group.email } };
    case "github": {
      const { organization, team } = group;
      return { githubOrganization: { identityProviderId, name: organization, ...(team !== undefined && { team }) } };
    }
    case "oidc":
      return { oidc: { identityProviderId, claimName: group.claim, claimValue: group.value } };
    case "saml":
      return { saml: { identityProviderId, attributeName: group.attribute, attributeValue: group.value } };
  }
}

function required(requirements: readonly Requirement[]): { require?: ZeroTrustAccessPolicyRequire[] } {
  if (requirements.length === 0) return {};
  return {
    require: requirements.map((one) => {
      if ("posture" in one) return { devicePosture: { integrationUid: one.posture } };
      if ("country" in one) return { geo: { countryCode: one.country } };
      if ("ip" in one) return { ip: { ip: one.ip } };
      return { loginMethod: { id: one.loginMethod } };
    }),
  };
}

function chunks(hostnames: readonly string[]): string[][] {
  const count = Math.ceil(hostnames.length / HOSTNAMES_PER_APPLICATION);
  return Array.from({ length: count }, (_, index) =>
    hostnames.slice(index * HOSTNAMES_PER_APPLICATION, (index + 1) * HOSTNAMES_PER_APPLICATION),
  );
}

/** The first has no number, so that a sixth host name does not rename the first five's application. */
function numbered(name: string, index: number): string {
  return index === 0 ? name : `${name}-${index + 1}`;
}
