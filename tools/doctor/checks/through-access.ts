/** What a service token sees behind Access: the Worker, the cluster, and its own request in the audit log. */
import { err, ok } from "../../../common/result.ts";
import { readAccessAnswer, serviceTokenHeaders } from "../../deployment/access.ts";
import type { HttpAnswer } from "../../ports/http.ts";
import {
  type Answer,
  type Check,
  type Dependencies,
  type Finding,
  failure,
  passed,
  type Query,
  skipped,
} from "../check.ts";
import type { Host } from "./access.ts";

const NO_TOKEN =
  "no service token: set CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET to one that may use this deployment";

interface Request {
  readonly path: string;
  readonly method?: "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends a request with the service token. @returns the Worker's answer, or why none came from it */
async function sendWithToken(
  { access, hostname }: Host,
  { http, serviceToken }: Dependencies,
  { path, headers, ...rest }: Request,
): Promise<Answer<HttpAnswer>> {
  if (!serviceToken) return err(skipped(NO_TOKEN));
  const answer = await http({
    url: `https://${hostname}${path}`,
    headers: { ...headers, ...serviceTokenHeaders(serviceToken) },
    ...rest,
  });
  const isRedirect = answer.status >= 300 && answer.status < 400;
  if (isRedirect || readAccessAnswer(answer, access.teamDomain).by === "access") {
    return err(
      failure(
        "Access does not admit this service token",
        "name the token in access.allow, or renew it: service tokens expire",
      ),
    );
  }
  return ok(answer);
}

/** The Worker runs, accepts the token, and an identity rule matches it. */
export function whoamiCheck(host: Host, dependencies: Dependencies): Check {
  return {
    id: `whoami:${host.hostname}`,
    run: async () => {
      const answer = await sendWithToken(host, dependencies, { path: "/-/whoami" });
      if (!answer.ok) return answer.error;
      const { status, body } = answer.value;
      if (status === 200) return passed(`the Worker knows this service token: ${describeIdentity(body)}`);
      return failure(`the Worker answers ${status}: ${messageIn(body)}`, adviceOn(status));
    },
  };
}

function describeIdentity(body: string): string {
  try {
    const { kubernetes, cluster } = JSON.parse(body) as { kubernetes: { user: string }; cluster: string };
    return `${kubernetes.user} on ${cluster}`;
  } catch {
    return "its answer cannot be read";
  }
}

/** The message of a `metav1.Status`, or of an error of the API under `/-/`. */
function messageIn(body: string): string {
  try {
    const { message, error } = JSON.parse(body) as { message?: string; error?: { message?: string } };
    return message ?? error?.message ?? "no message";
  } catch {
    return "no message";
  }
}

function adviceOn(status: number): string {
  if (status === 401) return "the Worker's audiences or team domain are not those of Access: npx sallyport deploy";
  if (status === 403) return "add an identity rule for this service token, then npx sallyport deploy";
  if (status >= 500) return 'see "npx wrangler tail", and the tunnel\'s checks';
  return "see the message";
}

/** A request reaches the cluster, and its answer comes back. */
export function throughCheck(host: Host, dependencies: Dependencies): Check {
  return {
    id: `through:${host.hostname}`,
    run: async () => {
      const answer = await sendWithToken(host, dependencies, { path: "/version" });
      if (!answer.ok) return answer.error;
      const { status, body } = answer.value;
      if (status === 200 && /"gitVersion"/.test(body)) return passed("a request reaches the cluster");
      return failure(`a request does not reach the cluster (HTTP ${status}): ${messageIn(body)}`, adviceOn(status));
    },
  };
}

/** An access review: always in the audit log, changes nothing, and allowed to everybody. */
export const REVIEW_REQUEST = {
  method: "POST",
  path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
  body: JSON.stringify({
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    spec: { resourceAttributes: { verb: "get", resource: "pods", namespace: "default" } },
  }),
} as const satisfies Request;

/** Rows wait half a second at the edge, and some seconds while D1 is busy. */
const MAX_ROW_WAIT_MS = 20_000;
const ROW_POLL_MS = 500;
/** The database's clock may differ from this machine's. */
const CLOCK_TOLERANCE_MS = 60_000;

/** A request that belongs into the audit log arrives there. */
export function auditTrailCheck(host: Host, query: Query | undefined, dependencies: Dependencies): Check {
  return {
    id: `audit-trail:${host.hostname}`,
    run: async () => {
      if (!query) return skipped("the audit log cannot be read: set CLOUDFLARE_API_TOKEN to a token that reads D1");
      return findOwnRequest(query, dependencies, (headers) =>
        sendWithToken(host, dependencies, { ...REVIEW_REQUEST, headers }),
      );
    },
  };
}

/**
 * Makes a request and looks for it in the audit log.
 *
 * @param send makes the request, with these headers
 */
export async function findOwnRequest(
  query: Query,
  { now, wait, nonce }: Pick<Dependencies, "now" | "wait" | "nonce">,
  send: (headers: Readonly<Record<string, string>>) => Promise<Answer<unknown>>,
): Promise<Finding> {
  const began = now();
  const agent = `sallyport-doctor/${nonce()}`;
  const sent = await send({ "content-type": "application/json", "user-agent": agent });
  if (!sent.ok) return sent.error;
  // Ids begin with the time, so that the index finds the row.
  const since = new Date(began - CLOCK_TOLERANCE_MS).toISOString();
  const sql = `SELECT id FROM requests WHERE id >= '${since}' AND user_agent = '${agent}'`;
  while ((await query(sql)).length === 0) {
    if (now() - began >= MAX_ROW_WAIT_MS) {
      return failure(
        `a request is not in the audit log after ${MAX_ROW_WAIT_MS / 1000} s`,
        "check the AUDIT_DB binding and the migrations; the log of the objects' Worker has \"audit_events_not_delivered\" with D1's error",
      );
    }
    await wait(ROW_POLL_MS);
  }
  return passed("a request made just now is in the audit log");
}
