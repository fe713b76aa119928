/** Whom Access admits, and for how long, against what the deployment file says. */
import * as z from "zod";
import type { AccessPolicy } from "../../../../terraform/config/access-policies.ts";
import { describeDuration, durationSeconds } from "../../../deployment/durations.ts";
import type { Plan } from "../../../deployment/plan.ts";
import type { Cloudflare } from "../../../ports/cloudflare.ts";
import { type Check, failure, passed, warning } from "../../check.ts";
import { accountCheck } from "./account-check.ts";

const organization = z.object({ warp_auth_session_duration: z.string().nullish() });

/**
 * WARP sessions count as a sign-in only where the account gives them a length. That length is the account's,
 * and takes precedence over the durations of policies and applications.
 */
export function warpSessionCheck({ access: { signIn } }: Plan, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: "warp-session",
    api,
    permission: "Access: Organizations, Identity Providers, and Groups Read",
    run: async (cloudflare) => {
      if (!signIn.warp) return passed("WARP sessions do not count as a sign-in, as the deployment file says");
      const { warp_auth_session_duration: text } = await cloudflare.get("access/organizations", organization);
      if (!text) {
        return failure(
          "the account has no WARP session duration, so Access refuses WARP as a sign-in (12130)",
          'set it as docs/DEPLOY.md describes, then apply the edge stack; or set "warp": false',
        );
      }
      const seconds = durationSeconds(text) ?? Number.POSITIVE_INFINITY;
      if (seconds > signIn.session) {
        return warning(
          `a WARP session counts for ${text}, which takes precedence over access.sessionDuration (${describeDuration(signIn.session)})`,
          "shorten it, account-wide, or accept that people with WARP sign in less often",
        );
      }
      return passed(`a WARP session counts for ${text}`);
    },
  });
}

const applications = z.array(
  z.object({
    name: z.string(),
    aud: z.string(),
    session_duration: z.string().nullish(),
    policies: z
      .array(z.object({ name: z.string(), decision: z.string().nullish(), session_duration: z.string().nullish() }))
      .default([]),
    oauth_configuration: z
      .object({
        enabled: z.boolean().nullish(),
        grant: z
          .object({ access_token_lifetime: z.string().nullish(), session_duration: z.string().nullish() })
          .nullish(),
      })
      .nullish(),
  }),
);
type Application = z.output<typeof applications>[number];

const PERMISSION = "Access: Apps and Policies Read";
const APPLY = "npx sallyport synth, then apply the edge stack";
/** What Access takes where a policy says nothing. */
const DEFAULT_SECONDS = 86_400;

/** A kind of application, and what the deployment file says about it. */
interface Expected {
  readonly audiences: readonly string[];
  readonly policies: readonly AccessPolicy[];
  readonly session: number;
  /** How long Managed OAuth renews access tokens; undefined where it is off. */
  readonly grant: number | undefined;
}

function expectedOf({
  audiences,
  adminAudiences,
  serviceTokenAudiences,
  policies,
  signIn,
}: Plan["access"]): Expected[] {
  const { session, adminSession, oauth } = signIn;
  return [
    { audiences, policies: policies.people, session, grant: oauth?.session },
    { audiences: adminAudiences, policies: policies.admins, session: adminSession, grant: oauth?.adminSession },
    // Nobody signs in there.
    { audiences: serviceTokenAudiences, policies: policies.serviceTokens, session, grant: undefined },
  ];
}

async function readApplications(cloudflare: Cloudflare, { audiences }: Expected): Promise<readonly Application[]> {
  const found = await Promise.all(
    audiences.map((audience) => cloudflare.get(`access/apps?aud=${audience}`, applications)),
  );
  return found.flat().filter(({ aud }) => audiences.includes(aud));
}

/** Sign-ins last as long as the deployment file says: a policy's duration outranks its application's. */
export function sessionDurationsCheck({ access }: Plan, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: "session-durations",
    api,
    permission: PERMISSION,
    run: async (cloudflare) => {
      const differing: string[] = [];
      for (const expected of expectedOf(access)) {
        const found = await readApplications(cloudflare, expected);
        if (found.length < expected.audiences.length) return failure("an Access application is gone", APPLY);
        for (const { name, session_duration, policies } of found) {
          const lasting = policies.map((policy) => ({
            name: policy.name,
            seconds: durationSeconds(policy.session_duration ?? session_duration ?? "") ?? DEFAULT_SECONDS,
          }));
          const wrong = lasting.filter(({ seconds }) => seconds !== expected.session);
          differing.push(
            ...wrong.map(
              (policy) =>
                `${policy.name} of ${name}: ${describeDuration(policy.seconds)}, not ${describeDuration(expected.session)}`,
            ),
          );
        }
      }
      return differing.length === 0
        ? passed(
            `for people ${describeDuration(access.signIn.session)}, for administrators ${describeDuration(access.signIn.adminSession)}`,
          )
        : failure(`sign-ins last otherwise than the deployment file says: ${differing.join("; ")}`, APPLY);
    },
  });
}

/**
 * The applications have the policies that the deployment file gives them. One more admits people whom the
 * file does not name, and the first that matches somebody decides. What a policy includes is Terraform's to
 * compare.
 */
export function accessPoliciesCheck({ access }: Plan, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: "access-policies",
    api,
    permission: PERMISSION,
    run: async (cloudflare) => {
      const differing: string[] = [];
      for (const expected of expectedOf(access)) {
        for (const { name, policies } of await readApplications(cloudflare, expected)) {
          const isExpected = (policy: (typeof policies)[number]) =>
            expected.policies.some((each) => each.name === policy.name && each.decision === policy.decision);
          const extra = policies.filter((policy) => !isExpected(policy));
          const missing = expected.policies.filter((each) => !policies.some((policy) => policy.name === each.name));
          differing.push(
            ...extra.map((policy) => `${name} also has ${policy.name} (${policy.decision ?? "no decision"})`),
            ...missing.map((policy) => `${name} lacks ${policy.name}`),
          );
        }
      }
      if (differing.length === 0)
        return passed("the applications have the policies of the deployment file, and no others");
      return failure(differing.join("; "), `find out who changed them; ${APPLY}`);
    },
  });
}

/** Managed OAuth is on, or off, as the deployment file says, with its lifetimes. */
export function oauthConfigurationCheck({ access }: Plan, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: "oauth-configuration",
    api,
    permission: PERMISSION,
    run: async (cloudflare) => {
      const differing: string[] = [];
      for (const expected of expectedOf(access)) {
        for (const { name, oauth_configuration: oauth } of await readApplications(cloudflare, expected)) {
          const isOn = oauth?.enabled === true;
          if (isOn !== (expected.grant !== undefined)) {
            differing.push(`${name}: Managed OAuth is ${isOn ? "on" : "off"}`);
          } else if (expected.grant !== undefined) {
            const { access_token_lifetime: token, session_duration: session } = oauth?.grant ?? {};
            if (durationSeconds(token ?? "") !== access.signIn.oauth?.accessToken)
              differing.push(`${name}: access tokens last ${token ?? "an unknown time"}`);
            if (durationSeconds(session ?? "") !== expected.grant)
              differing.push(`${name}: they are renewed for ${session ?? "an unknown time"}`);
          }
        }
      }
      if (differing.length > 0) return failure(differing.join("; "), APPLY);
      return passed(
        access.signIn.oauth ? "Managed OAuth is on, with the lifetimes of the deployment file" : "Managed OAuth is off",
      );
    },
  });
}
