/** A deployment's admin API, as operators' commands ask it. */
import * as z from "zod";
import { messageOf } from "../../common/errors.ts";
import { parseJson } from "../../common/json.ts";
import type { Http, HttpRequest } from "../ports/http.ts";
import { readAccessAnswer, type ServiceToken, serviceTokenHeaders, serviceTokenOf } from "./access.ts";
import { OperatorError } from "./operator-error.ts";
import { hostnamesOf, type Plan } from "./plan.ts";

const refusalSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/**
 * The admin API gave no answer, or one that does not say whether it did what was asked. Whoever asked for a
 * change has to look.
 */
export class UnclearAnswer extends OperatorError {}

/** How an administrator proves to Access who they are. */
export type AdminCredentials = ServiceToken | { readonly accessToken: string };

/**
 * The credentials in the environment: a service token, or what `cloudflared access token` prints.
 *
 * @returns undefined where there are none
 */
export function adminCredentialsOf(env: Readonly<Record<string, string | undefined>>): AdminCredentials | undefined {
  const accessToken = env["CF_ACCESS_TOKEN"];
  return accessToken ? { accessToken } : serviceTokenOf(env);
}

/** What the commands that need them say of the environment. */
export const ADMIN_CREDENTIALS_NOTE =
  "The admin API wants an administrator: a service token that has the role admin in CF_ACCESS_CLIENT_ID and " +
  "CF_ACCESS_CLIENT_SECRET, or in CF_ACCESS_TOKEN what `cloudflared access token -app=https://HOST/-/admin` prints.";

/** Where the admin API is, and who asks. */
export interface AdminApi {
  /** Such as `https://prod.k8s.example.com`. */
  readonly origin: string;
  readonly teamDomain: string;
  /** Undefined where the address is the sign-in, as in the local stack. */
  readonly credentials: AdminCredentials | undefined;
}

/** The admin API of a deployment, which every host name of it has. */
export function adminApiOf(plan: Plan, credentials: AdminCredentials): AdminApi {
  const [hostname] = hostnamesOf(plan);
  return { origin: `https://${hostname}`, teamDomain: plan.access.teamDomain, credentials };
}

/**
 * Asks for something under `/-/admin/`.
 *
 * @param schema of the answer
 * @param query.path after `/-/admin/`
 * @throws OperatorError that says why it was not done, and what to do; UnclearAnswer where it may be done
 */
export async function askAdminApi<S extends z.ZodType>(
  http: Http,
  { origin, teamDomain, credentials }: AdminApi,
  schema: S,
  {
    method,
    path,
    body,
  }: { readonly method: HttpRequest["method"]; readonly path: string; readonly body: object | undefined },
): Promise<z.output<S>> {
  const url = `${origin}/-/admin/${path}`;
  const answer = await http({
    url,
    ...(method && { method }),
    headers: credentials ? credentialHeaders(credentials) : {},
    ...(body && { body: JSON.stringify(body) }),
  }).catch((error: unknown) => {
    throw new UnclearAnswer(`the admin API does not answer: ${messageOf(error)}`);
  });
  if (readAccessAnswer(answer, teamDomain).by === "access") {
    throw new OperatorError(
      `Access does not let these credentials into ${origin}/-/admin: a token may have expired, or no policy of the ` +
        "administrators' application names it",
    );
  }
  const value = parseJson(answer.body);
  const read = schema.safeParse(value);
  if (answer.status === 200 && read.success) return read.data;
  const refusal = refusalSchema.safeParse(value);
  if (!refusal.success) {
    throw new UnclearAnswer(
      `${origin}/-/admin answered ${answer.status}, and not as Sallyport does: check the host name`,
    );
  }
  const { code, message } = refusal.data.error;
  // A gateway, or an object that did not answer in time.
  if (answer.status >= 500) throw new UnclearAnswer(`the admin API says: ${message}`);
  const isOlder = code === "not_found" && path === "drain";
  throw new OperatorError(
    isOlder
      ? `the deployed version has no drain yet: go on without one (${message})`
      : `the admin API says: ${message}`,
  );
}

function credentialHeaders(credentials: AdminCredentials): Record<string, string> {
  // As cloudflared sends it: Access takes it in place of the cookie.
  return "accessToken" in credentials
    ? { "cf-access-token": credentials.accessToken }
    : serviceTokenHeaders(credentials);
}
