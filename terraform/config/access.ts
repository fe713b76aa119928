/** Who may reach the Access applications, as the deployment file writes it. */
import * as z from "zod";
import { nonEmpty } from "../../worker/config/parts.ts";

export const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "an id such as 699d98f1-5f9f-4b1b-a7d5-6a1b2c3d4e5f");
/** As the Access API writes durations: nothing that lasts for ever, and nothing that is over at once. */
export const duration = z.string().regex(/^[1-9]\d{0,3}[mh]$/, "minutes or hours, as in 30m or 8h");

const identityProvider = uuid;

/** A group of an identity provider's. Each kind of provider is asked in its own way. */
const groupSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("okta"), identityProvider, name: nonEmpty }),
  /** `id` is the group's object id. */
  z.strictObject({ kind: z.literal("entra"), identityProvider, id: uuid }),
  /** `email` is the group's address. */
  z.strictObject({ kind: z.literal("google"), identityProvider, email: z.email() }),
  z.strictObject({
    kind: z.literal("github"),
    identityProvider,
    organization: nonEmpty,
    team: nonEmpty.exactOptional(),
  }),
  z.strictObject({ kind: z.literal("oidc"), identityProvider, claim: nonEmpty.default("groups"), value: nonEmpty }),
  z.strictObject({ kind: z.literal("saml"), identityProvider, attribute: nonEmpty.default("groups"), value: nonEmpty }),
]);

/**
 * One of these must hold. There is no "everyone": an application in front of clusters that anybody with a one-time PIN may
 * enter is a mistake.
 */
const whoSchema = z.union(
  [
    z.strictObject({ email: z.email() }),
    z.strictObject({
      emailDomain: nonEmpty.regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, "a domain in lower case, without the @: example.com"),
    }),
    z.strictObject({ group: groupSchema }),
    /** The id of an Access group that exists already. */
    z.strictObject({ accessGroup: uuid }),
    /** One of `serviceTokens`. */
    z.strictObject({ serviceToken: nonEmpty }),
  ],
  { error: "write one of email, emailDomain, group, accessGroup or serviceToken, each with its own fields" },
);

/** All of these must hold for people, too. */
const requirementSchema = z.union(
  [
    /** The id of a device posture check. */
    z.strictObject({ posture: uuid }),
    z.strictObject({ country: z.string().regex(/^[A-Z]{2}$/, "two capital letters, as in DE") }),
    z.strictObject({ ip: z.union([z.cidrv4(), z.cidrv6()]) }),
    /** The id of the one identity provider that counts. */
    z.strictObject({ loginMethod: uuid }),
  ],
  { error: "write one of posture, country, ip or loginMethod" },
);

export const whoList = z.array(whoSchema).min(1);
export const requirementList = z.array(requirementSchema);

export type Who = z.output<typeof whoSchema>;
export type Requirement = z.output<typeof requirementSchema>;
export type ProviderGroup = z.output<typeof groupSchema>;
