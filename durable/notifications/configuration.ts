/** Whom the objects tell of events: the secret `SALLYPORT_WEBHOOKS`. Pure. */
import * as z from "zod";
import { err, ok, type Result } from "../../common/result.ts";
import { NOTIFIED_TYPES } from "./events.ts";
import { decodeSigningSecret } from "./signature.ts";

export const WEBHOOKS_SECRET = "SALLYPORT_WEBHOOKS";
/** The platform's limit for a secret is 5 KB; it does not say which K. */
export const MAX_DOCUMENT_BYTES = 5_000;
/** Each event costs a row and a request for each destination. */
const MAX_DESTINATIONS = 10;
/** Names of a URL's host that no request leaves the machine for. */
const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];

// No message may quote a value: an address of a chat's webhook is a secret itself.
const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/, "must be 1 to 32 lower-case letters, digits and hyphens");
const url = z.string().max(2_000).refine(isAllowedUrl, "must be an https: URL without user, password and fragment");
const address = z
  .string()
  .refine(isAllowedUrl, "must be an https: URL without user, password and fragment")
  .transform((text) => new URL(text).origin);
const secret = z
  .string()
  .refine(
    (text) => decodeSigningSecret(text) !== undefined,
    "must be whsec_ and the base64 of 24 to 64 random bytes (standardwebhooks.com)",
  );
const common = { name, url, events: z.array(z.enum(NOTIFIED_TYPES)).min(1).exactOptional() };

export const webhooksSchema = z.strictObject({
  address: address.exactOptional(),
  destinations: z
    .array(
      z.discriminatedUnion("format", [
        z.strictObject({ format: z.literal("standard"), ...common, secret }),
        z.strictObject({ format: z.literal("slack"), ...common }),
        z.strictObject({ format: z.literal("teams"), ...common }),
      ]),
    )
    .max(MAX_DESTINATIONS)
    .refine((all) => new Set(all.map((one) => one.name)).size === all.length, "must have a name each of its own"),
});

/** Who is told. */
export type Webhooks = z.output<typeof webhooksSchema>;
export type Destination = Webhooks["destinations"][number];

/**
 * Reads the document.
 *
 * @param text the secret, or undefined where the deployment has none: then nobody is told
 * @returns or its faults: places and what is expected there, never a value
 */
export function parseWebhooks(text: unknown): Result<Webhooks, readonly string[]> {
  if (text === undefined || text === "") return ok({ destinations: [] });
  if (typeof text !== "string") return err(["it is no text"]);
  if (new TextEncoder().encode(text).length > MAX_DOCUMENT_BYTES)
    return err([`it has more than ${MAX_DOCUMENT_BYTES} bytes`]);
  const parsed = webhooksSchema.safeParse(parseJson(text));
  return parsed.success ? ok(parsed.data) : err(parsed.error.issues.map(describeIssue));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message would quote the text.
    return undefined;
  }
}

function describeIssue({ path, code, message }: z.core.$ZodIssue): string {
  // A field that somebody misplaced may be an address.
  const said = code === "unrecognized_keys" ? "has an unknown field" : message;
  return `${path.map(String).join(".") || "the document"}: ${said}`;
}

function isAllowedUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, hash } = new URL(text);
  const isPrivate = protocol === "https:" || (protocol === "http:" && LOOPBACK.includes(hostname));
  return isPrivate && username === "" && password === "" && hash === "";
}
