/** How long sign-ins last, and whether Access does what the deployment file says about them. */
import * as z from "zod";
import { describeDuration, durationSeconds } from "../../../deployment/durations.ts";
import type { Plan } from "../../../deployment/plan.ts";
import type { Cloudflare } from "../../../ports/cloudflare.ts";
import { type Check, failure, passed, warning } from "../../check.ts";
import { accountCheck } from "./account-check.ts";

const organization = z.object({ warp_auth_session_duration: z.string().nullish() });

/**
 * WARP sessions count as a sign-in only where the account gives them a length. That length is the account's, and takes
 * precedence over the durations of policies and applications.
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
    policies: z.array(z.object({ name: z.string(), session_duration: z.string().nullish() })).default([]),
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
  readonly session: number;
  readonly grant: number | undefined;
}

const expectedOf = ({ audiences, adminAudiences, signIn }: Plan["access"]): readonly Expected[] => [
  { audiences, session: signIn.session, grant: signIn.oauth?.session },
  { audiences: adminAudiences, session: signIn.adminSession, grant: signIn.oauth?.adminSession },
];

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
