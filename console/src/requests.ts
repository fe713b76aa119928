/** What the console says of an API request in the audit log. Pure. */
import type { ApiRequest } from "./api/endpoints.ts";

type Category = ApiRequest["category"];

/** Why a request is in the audit log, as short as a column has room for. */
export const CATEGORY_LABELS = {
  denied: "denied",
  token: "credentials",
  precursor: "may run commands",
  "secret-read": "secret read",
  mutation: "change",
  admin: "command to Sallyport",
  dropped: "not written",
} as const satisfies Record<Category, string>;

export const OUTCOME_LABELS = {
  succeeded: "succeeded",
  failed: "failed",
  forbidden: "forbidden by the cluster",
  refused: "refused by Sallyport",
  unknown: "no answer known",
} as const;
export type RequestOutcome = keyof typeof OUTCOME_LABELS;

const OUTCOME_TONES = {
  succeeded: "quiet",
  failed: "warn",
  forbidden: "bad",
  refused: "bad",
  unknown: "warn",
} as const satisfies Record<RequestOutcome, string>;

/** What became of a request, as the filter `outcome` of the API has it. */
export function outcomeOf({ decision, status }: Pick<ApiRequest, "decision" | "status">): RequestOutcome {
  if (decision === "refused") return "refused";
  if (status === null) return "unknown";
  if (status < 400) return "succeeded";
  return status === 403 ? "forbidden" : "failed";
}

/** The outcome as a tag: its text, and how a reader takes it. */
export function outcomeTag(request: Pick<ApiRequest, "category" | "decision" | "status">): {
  readonly text: string;
  readonly tone: "quiet" | "warn" | "bad";
} {
  // These rows are no requests. They say how many are missing.
  if (request.category === "dropped") return { text: "not written", tone: "warn" };
  const outcome = outcomeOf(request);
  const tone = OUTCOME_TONES[outcome];
  switch (outcome) {
    case "refused":
      return { text: "refused", tone };
    case "unknown":
      return { text: "no answer", tone };
    case "forbidden":
      return { text: "forbidden", tone };
    default:
      return { text: String(request.status), tone };
  }
}

/** What was asked for: verb and resource as kubectl names it, or method and path. */
export function requestPurpose(
  request: Pick<ApiRequest, "verb" | "apiGroup" | "resource" | "subresource" | "method" | "path">,
): string {
  const { verb, apiGroup, resource, subresource, method, path } = request;
  if (verb === null || resource === null) return [method, path].filter((part) => part !== null).join(" ");
  const group = apiGroup === null || apiGroup === "" ? "" : `.${apiGroup}`;
  return `${verb} ${resource}${group}${subresource === null || subresource === "" ? "" : `/${subresource}`}`;
}

/** Where the object is: namespace and name, as far as the path has them. */
export function requestObject({ namespace, name }: Pick<ApiRequest, "namespace" | "name">): string | null {
  const parts = [namespace, name].filter((part) => part !== null && part !== "");
  return parts.length === 0 ? null : parts.join("/");
}

/** The filters under which a list has this request, however many have come since: ids begin with the time. */
export function momentOf({ id }: Pick<ApiRequest, "id">): { readonly since: string; readonly until: string } {
  const since = id.slice(0, 24);
  return { since, until: new Date(Date.parse(since) + 1).toISOString() };
}
