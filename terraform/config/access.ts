/** Who may use the Access applications, as the deployment file says it. */
import * as z from "zod";
import { nonEmpty } from "../../worker/config/shared-fields.ts";

export const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "an id such as 699d98f1-5f9f-4b1b-a7d5-6a1b2c3d4e5f");
/**
 * "up to 1 month", whose hours Access counts as 730.
 * https://developers.cloudflare.com/cloudflare-one/identity/users/session-management/
 */
const MAX_SESSION_HOURS = 730;

/** A duration as the Access API writes it, neither zero nor longer than Access allows. */
export const duration = z
  .string()
  .regex(/^[1-9]\d{0,4}[mh]$/, "minutes or hours, such as 30m or 8h")
  .refine((text) => Number.parseInt(text, 10) / (text.endsWith("m") ? 60 : 1) <= MAX_SESSION_HOURS, {
    message: `Access allows a month at most: give ${MAX_SESSION_HOURS}h or less`,
  });

const identityProvider = uuid.describe("The identity provider's id.");

const kind = <K extends string>(name: K) => z.literal(name).describe("The kind of identity provider.");

const groupSchema = z
  .discriminatedUnion("kind", [
    z.strictObject({ kind: kind("okta"), identityProvider, name: nonEmpty.describe("The group's name.") }),
    z.strictObject({ kind: kind("entra"), identityProvider, id: uuid.describe("The group's object id.") }),
    z.strictObject({ kind: kind("google"), identityProvider, email: z.email().describe("The group's address.") }),
    z.strictObject({
      kind: kind("github"),
      identityProvider,
      organization: nonEmpty.describe("The organization's name."),
      team: nonEmpty.exactOptional().describe("One team of it. Default: the whole organization."),
    }),
    z.strictObject({
      kind: kind("oidc"),
      identityProvider,
      claim: nonEmpty.default("groups").describe("The claim that lists groups."),
      value: nonEmpty.describe("The value that the list must contain."),
    }),
    z.strictObject({
      kind: kind("saml"),
      identityProvider,
      attribute: nonEmpty.default("groups").describe("The attribute that lists groups."),
      value: nonEmpty.describe("The value that the list must contain."),
    }),
  ])
  .meta({
    id: "group",
    description: "A group of an identity provider. Each kind of provider has its own fields.",
  });

/**
 * One alternative of a policy's include list. There is no "everyone": an application in front of clusters
 * must not admit anybody with a one-time PIN.
 */
const whoSchema = z
  .union(
    [
      z.strictObject({ email: z.email().describe("One person's address.") }),
      z.strictObject({
        emailDomain: nonEmpty
          .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, "a domain in lower case, without the @: example.com")
          .describe("Everybody with an address of this domain."),
      }),
      z.strictObject({ group: groupSchema }),
      z.strictObject({ accessGroup: uuid.describe("The id of an existing Access group.") }),
      z.strictObject({ serviceToken: nonEmpty.describe("One of `serviceTokens`.") }),
    ],
    { error: "write one of email, emailDomain, group, accessGroup or serviceToken, each with its own fields" },
  )
  .meta({ id: "who", description: "People or programs who are admitted." });

const requirementSchema = z
  .union(
    [
      z.strictObject({ posture: uuid.describe("The id of a device posture check.") }),
      z.strictObject({
        country: z
          .string()
          .regex(/^[A-Z]{2}$/, "two capital letters, such as DE")
          .describe("The country that they connect from, an ISO 3166 code."),
      }),
      z.strictObject({ ip: z.union([z.cidrv4(), z.cidrv6()]).describe("The network that they connect from.") }),
      z.strictObject({ loginMethod: uuid.describe("The id of the only identity provider that is accepted.") }),
    ],
    { error: "write one of posture, country, ip or loginMethod" },
  )
  .meta({ id: "requirement", description: "A condition that people must also meet." });

export const whoListOrNone = z.array(whoSchema);
export const whoList = whoListOrNone.min(1);
export const requirementList = z.array(requirementSchema);

export type Who = z.output<typeof whoSchema>;
export type Requirement = z.output<typeof requirementSchema>;
export type ProviderGroup = z.output<typeof groupSchema>;
