/** What anybody can see from outside, and what a service token sees through Access. */
import { readAccessAnswer, serviceTokenHeaders } from "../../deployment/access.ts";
import type { Plan } from "../../deployment/plan.ts";
import type { HttpAnswer } from "../../ports/http.ts";
import { type Check, type Dependencies, type Finding, fail, ok, skipped, Unanswered, warn } from "../check.ts";

const NO_TOKEN =
  "no service token: set CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET to one that may use this deployment";
const ADMIN_PATH = "/-/admin/sessions?limit=1";

type Outside = Pick<Plan, "access"> & { readonly hostname: string };

/** A stranger's request is answered by Access, for the right application, and never by the Worker. */
export function accessCheck({ access, hostname }: Outside, { http }: Dependencies): Check {
  return {
    id: `access:${hostname}`,
    run: async () => {
      // Health is what the Worker would give to anybody.
      const answers = [
        await http({ url: `https://${hostname}/-/healthz` }),
        await http({ url: `https://${hostname}/api` }),
      ];
      for (const answer of answers) {
        const read = readAccessAnswer(answer, access.teamDomain);
        if (read.by === "other") {
          return fail(
            `a stranger's request is not answered by Access (HTTP ${answer.status})`,
            `add ${hostname} to the Access application, with all paths and no bypass policy: "terraform plan" shows the difference`,
          );
        }
        if (read.audience !== undefined && !access.audiences.includes(read.audience)) {
          return fail(
            "another Access application stands in front",
            "its tokens are refused by the Worker: take the host name out of that application, or deploy with its audience",
          );
        }
      }
      return ok("a stranger is sent to sign in");
    },
  };
}

/** The admin API is behind an application of its own, into which the plain application's sign-in does not lead. */
export function adminAccessCheck({ access, hostname }: Outside, { http, serviceToken }: Dependencies): Check {
  const url = `https://${hostname}${ADMIN_PATH}`;
  const advice = `make an Access application for ${hostname}/-/admin with the administrators' policy`;
  return {
    id: `access-admin:${hostname}`,
    run: async () => {
      const answer = await http({ url });
      const read = readAccessAnswer(answer, access.teamDomain);
      if (read.by === "other")
        return fail(`a stranger's request is not answered by Access (HTTP ${answer.status})`, advice);
      if (read.audience !== undefined && !access.adminAudiences.includes(read.audience)) {
        return fail("the admin API has no Access application of its own", advice);
      }
      if (!serviceToken)
        return ok("it has an application of its own (what a service token may do there was not tried)");
      const plain = await http({ url: `https://${hostname}/-/whoami`, headers: serviceTokenHeaders(serviceToken) });
      const cookie = plainSignIn(plain);
      if (cookie !== undefined && (await isAdmitted(await http({ url, headers: { cookie } })))) {
        return fail("the plain application's sign-in opens the admin API", `${advice}, and set access.adminAudiences`);
      }
      if (await isAdmitted(await http({ url, headers: serviceTokenHeaders(serviceToken) }))) {
        return warn(
          "this service token may use the admin API",
          "give programs that need no orders a token without that policy",
        );
      }
      return ok("it has an application of its own, which refuses this service token");
    },
  };
}

const isAdmitted = async ({ status }: HttpAnswer) => status === 200;

/** Access gives whoever it lets in a cookie with the application's token. */
function plainSignIn({ headers }: HttpAnswer): string | undefined {
  return /\bCF_Authorization=[^;,\s]+/.exec(headers["set-cookie"] ?? "")?.[0];
}

/** The team's keys, which the Worker verifies tokens with. */
export function signingKeysCheck({ access }: Pick<Plan, "access">, { http }: Dependencies): Check {
  const url = `${access.teamDomain}/cdn-cgi/access/certs`;
  return {
    id: "signing-keys",
    run: async () => {
      const { status, body } = await http({ url });
      const keys = status === 200 ? countKeys(body) : 0;
      return keys > 0
        ? ok(`the team's domain gives ${keys} signing keys`)
        : fail(
            `the team's domain gives no signing keys (HTTP ${status})`,
            `check access.teamDomain: Zero Trust, Settings, shows it; ${url} must show keys`,
          );
    },
  };
}

function countKeys(body: string): number {
  try {
    const { keys } = JSON.parse(body) as { keys?: unknown };
    return Array.isArray(keys) ? keys.length : 0;
  } catch {
    return 0;
  }
}

/** A request as the service token, which must have come to the Worker. */
async function asService(
  ports: Dependencies,
  { access, hostname }: Outside,
  path: string,
  more: { readonly method?: "POST"; readonly headers?: Record<string, string>; readonly body?: string } = {},
): Promise<HttpAnswer> {
  if (!ports.serviceToken) throw new Unanswered(skipped(NO_TOKEN));
  const { headers, ...rest } = more;
  const answer = await ports.http({
    url: `https://${hostname}${path}`,
    headers: { ...headers, ...serviceTokenHeaders(ports.serviceToken) },
    ...rest,
  });
  const isAccess = readAccessAnswer(answer, access.teamDomain).by === "access";
  if (isAccess || (answer.status >= 300 && answer.status < 400)) {
    throw new Unanswered(
      fail(
        "Access does not let this service token in",
        "name the token in access.allow, or renew it: service tokens expire",
      ),
    );
  }
  return answer;
}

/** Who the service token is behind Access: the Worker runs, takes the token, and a rule knows it. */
export function whoamiCheck(outside: Outside, ports: Dependencies): Check {
  return {
    id: `whoami:${outside.hostname}`,
    run: async () => {
      const { status, body } = await asService(ports, outside, "/-/whoami");
      if (status === 200) return ok(`the Worker knows this service token: ${summary(body)}`);
      return fail(`the Worker answers ${status}: ${messageIn(body)}`, adviceOnStatus(status));
    },
  };
}

function summary(body: string): string {
  try {
    const { kubernetes, cluster } = JSON.parse(body) as { kubernetes: { user: string }; cluster: string };
    return `${kubernetes.user} on ${cluster}`;
  } catch {
    return "its answer could not be read";
  }
}

/** `metav1.Status` and the admin API's errors both have one. */
function messageIn(body: string): string {
  try {
    const { message, error } = JSON.parse(body) as { message?: string; error?: { message?: string } };
    return message ?? error?.message ?? "no words";
  } catch {
    return "no words";
  }
}

function adviceOnStatus(status: number): string {
  if (status === 401) return "the Worker's audiences or team domain are not Access's: npm run deploy";
  if (status === 403) return "add an identity rule for this service token, and npm run deploy";
  if (status >= 500) return 'see "npx wrangler tail", and the tunnel above';
  return "see the words";
}

/** All the way to the cluster and back. */
export function throughCheck(outside: Outside, ports: Dependencies): Check {
  return {
    id: `through:${outside.hostname}`,
    run: async () => {
      const { status, body } = await asService(ports, outside, "/version");
      if (status === 200 && /"gitVersion"/.test(body)) return ok("a request comes through to the cluster");
      return fail(`a request does not come through (HTTP ${status}): ${messageIn(body)}`, adviceOnStatus(status));
    },
  };
}

export type Query = <Row>(sql: string) => Promise<Row[]>;

/** An access review is always on record, changes nothing, and anybody may ask it. */
export const REVIEW_REQUEST = {
  method: "POST",
  path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
  body: JSON.stringify({
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    spec: { resourceAttributes: { verb: "get", resource: "pods", namespace: "default" } },
  }),
} as const;
/** Rows wait for half a second at the edge, and for some seconds where D1 is busy. */
const ROW_PATIENCE_MS = 20_000;
const ROW_POLL_MS = 500;

/** Makes a request that must be on record, and looks for it there. */
export function auditTrailCheck(outside: Outside, query: Query | undefined, ports: Dependencies): Check {
  return {
    id: `audit-trail:${outside.hostname}`,
    run: async () => {
      if (!query) return skipped("the record cannot be read: set CLOUDFLARE_API_TOKEN to a token that reads D1");
      return auditRow(query, ports, (headers) =>
        asService(ports, outside, REVIEW_REQUEST.path, { ...REVIEW_REQUEST, headers }),
      );
    },
  };
}

/** @param send makes the request, with these headers */
export async function auditRow(
  query: Query,
  ports: Pick<Dependencies, "now" | "wait" | "nonce">,
  send: (headers: Record<string, string>) => Promise<unknown>,
): Promise<Finding> {
  const began = ports.now();
  const agent = `sallyport-doctor/${ports.nonce()}`;
  await send({ "content-type": "application/json", "user-agent": agent });
  // The time is in the id, so that this is read by the index; a minute for clocks that differ.
  const since = new Date(began - 60_000).toISOString();
  const sql = `SELECT id FROM requests WHERE id >= '${since}' AND user_agent = '${agent}'`;
  while ((await query(sql)).length === 0) {
    if (ports.now() - began >= ROW_PATIENCE_MS) {
      return fail(
        `a request that must be on record is not there after ${ROW_PATIENCE_MS / 1000} s`,
        'check the AUDIT_DB binding and the migrations; "npx wrangler tail" shows "audit:" lines of what D1 says',
      );
    }
    await ports.wait(ROW_POLL_MS);
  }
  return ok("a request just made is on record");
}

/** Access tolerates 5 s between clocks, and so does the Worker. */
const MAX_SKEW_MS = 5_000;
/** A Date header counts whole seconds. */
const RESOLUTION_MS = 1_000;

export interface Clock {
  readonly name: string;
  /** What it shows, as an HTTP date; undefined where it cannot be read. */
  readonly read: () => Promise<string | undefined>;
}

/** This machine's clock beside others': tokens have a beginning and an end. */
export function clocksCheck(clocks: readonly Clock[], { now }: Pick<Dependencies, "now">): Check {
  return {
    id: "clocks",
    run: async (): Promise<Finding> => {
      const read: string[] = [];
      for (const { name, read: look } of clocks) {
        const before = now();
        const shown = Date.parse((await look().catch(() => undefined)) ?? "");
        const after = now();
        if (Number.isNaN(shown)) continue;
        // It was read some time between the two.
        const ahead = Math.max(shown - after, before - (shown + RESOLUTION_MS), 0);
        if (ahead > MAX_SKEW_MS) {
          return fail(
            `the clock of ${name} and this machine's are ${Math.round(ahead / 1000)} s apart`,
            "set the clocks by NTP: Access tokens count to the second",
          );
        }
        read.push(name);
      }
      if (read.length === 0) return skipped("no other clock could be read");
      return ok(`this machine's clock and those of ${read.join(", ")} agree`);
    },
  };
}
