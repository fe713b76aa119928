/** Fields that several routes take or answer with. */
import * as z from "zod";
import { stripControlCharacters } from "../../../common/text.ts";
import { LOCATION_HINTS } from "../../../contract/placement.ts";

/** A time in an answer: RFC 3339, in UTC. */
export const time = z.iso.datetime();

/** A point in time as a query parameter. Parsed to ms since the epoch. */
export const timeParameter = z.iso
  .datetime({ offset: true, error: "must be a time like 2026-11-17T00:00:00Z" })
  .transform((text) => Date.parse(text));

/** Which of the user's objects lack a decision. */
export const notReached = z
  .array(z.enum(LOCATION_HINTS))
  .describe(
    "Location hints of the user's objects that do not have this yet: they did not answer. It does not hold at the " +
      "clusters of these locations until they do; they are tried again until then. Normally empty.",
  );

export const signIn = z
  .string()
  .nullable()
  .describe(
    "How the user signed in: `service_token`, `warp`, or the type of the identity provider. Null: Access did not tell.",
  );

export const deviceId = z.string().nullable().describe("The enrolled device. Null: Access did not tell.");

export const limitParameter = z.coerce
  .number()
  .int()
  .min(1)
  .max(500)
  .default(100)
  .describe("The most items in one page.");

export const userParameter = z
  .string()
  .toLowerCase()
  .describe("Only this user's: an email address, or `service:<client id>`. Case does not matter.");

/** Of lists that may be had as CSV. */
export const formatParameter = z
  .enum(["json", "csv"])
  .exactOptional()
  .describe(
    "`csv`: a file for spreadsheets. Default: what `Accept` asks for, otherwise JSON. The header `Link` leads to the next page, which has no line of names.",
  );

/** Where a page ends. */
export const nextPage = z
  .string()
  .nullable()
  .describe("Pass it as `cursor` for the next page. Null: there are no more.");

/** The error for a cursor that no earlier answer contained. */
export const CURSOR_ERROR = "must be the `next` of an earlier answer";

export const sessionIdParams = z.strictObject({ id: z.string().describe("The session's id.") });

/**
 * A user's name in a path, in visible ASCII: no user has another name (see worker/access/authenticate.ts).
 * With a space in it, it could name another object.
 */
export const userParams = z.strictObject({
  email: z
    .string()
    .regex(/^[!-~]+$/, "must be visible ASCII without spaces")
    .toLowerCase()
    .describe("The user's email address, or `service:<client id>` for a service token. Case does not matter."),
});

const MAX_REASON_CHARS = 500;

/** A reason is written to terminals, so control characters are removed. */
export const reason = z
  .string()
  .transform((text) => stripControlCharacters(text, MAX_REASON_CHARS))
  .describe(`Why. Control characters are replaced; at most ${MAX_REASON_CHARS} characters are kept.`);
