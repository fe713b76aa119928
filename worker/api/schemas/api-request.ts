/** API requests in the audit log, as `GET /-/admin/requests` takes filters and answers. */
import * as z from "zod";
import { CATEGORIES, DECISIONS, REQUEST_OUTCOMES } from "../../../audit/request-categories.ts";
import {
  CURSOR_ERROR,
  deviceId,
  formatParameter,
  limitParameter,
  nextPage,
  signIn,
  time,
  timeParameter,
  userParameter,
} from "./shared.ts";

const filters = {
  category: z.enum(CATEGORIES).exactOptional().describe("Only requests of this category."),
  decision: z.enum(DECISIONS).exactOptional().describe("Only those that Sallyport allowed, or refused."),
  namespace: z.string().exactOptional().describe("Only requests in this namespace."),
  cluster: z.string().exactOptional().describe("Only requests to this cluster, by its name in the configuration."),
  verb: z.string().exactOptional().describe("Only requests with this Kubernetes verb, such as `delete`."),
  resource: z.string().exactOptional().describe("Only requests for this resource, such as `secrets`."),
  subresource: z.string().exactOptional().describe("Only requests for this subresource, such as `token`."),
  name: z.string().exactOptional().describe("Only requests for the object of this name."),
  rule: z.string().exactOptional().describe("Only requests that this rule allowed or refused."),
  refusal: z.string().exactOptional().describe("Only requests that Sallyport refused with this code."),
  outcome: z
    .enum(REQUEST_OUTCOMES)
    .exactOptional()
    .describe(
      "What became of it. `succeeded`: a status below 400. `forbidden`: 403, by the cluster's RBAC. `failed`: any other status of 400 or above. `refused`: by Sallyport. `unknown`: no answer is known.",
    ),
  since: timeParameter.exactOptional().describe("Only requests at this time or later."),
  until: timeParameter.exactOptional().describe("Only requests before this time."),
  limit: limitParameter,
  cursor: z
    .string()
    .regex(/^[0-9TZ:.-]{24}-[0-9a-z]{1,32}$/, CURSOR_ERROR)
    .exactOptional()
    .describe("The `next` of the page before."),
};

export const apiRequestsQuery = z.strictObject({
  user: userParameter.exactOptional(),
  ...filters,
  format: formatParameter,
});

export const ownRequestsQuery = z.strictObject(filters);

export const apiRequest = z
  .strictObject({
    id: z.string().describe("The row's id, which begins with the time."),
    at: time.describe("When the request came."),
    user: z.string().nullable().describe("The Access identity. Null: there was no valid token."),
    kubernetesUser: z.string().nullable().describe("The user that the cluster saw."),
    cluster: z.string().nullable().describe("The cluster's name in the configuration."),
    category: z.enum(CATEGORIES).describe("Why the request is in the audit log."),
    decision: z.enum(DECISIONS).nullable().describe("Sallyport's decision. The cluster's is in `status`."),
    rule: z.string().nullable().describe("The rule that allowed or refused it."),
    refusal: z.string().nullable().describe("The code of Sallyport's refusal."),
    reason: z.string().nullable().describe("The message that the person read, or why there is no answer."),
    method: z.string().nullable().describe("The HTTP method."),
    path: z.string().nullable().describe("The path, without its query."),
    verb: z.string().nullable().describe("The Kubernetes verb."),
    apiGroup: z.string().nullable().describe("The API group; empty for the core group."),
    resource: z.string().nullable().describe("The resource."),
    subresource: z.string().nullable().describe("The subresource."),
    namespace: z.string().nullable().describe("The namespace."),
    name: z.string().nullable().describe("The object's name, where the path has it."),
    status: z.int().nullable().describe("The HTTP status that the cluster, or for commands Sallyport, answered with."),
    count: z.int().describe("How many requests this row stands for."),
    clientAddress: z.string().nullable().describe("The client's address, as Cloudflare saw it."),
    country: z.string().nullable().describe("The country of that address."),
    userAgent: z.string().nullable().describe("What the client calls itself."),
    ray: z.string().nullable().describe("Cloudflare's id of the request."),
    signIn,
    deviceId,
    firstAt: time.nullable().describe("The first of the requests that were counted; null for a single one."),
    lastAt: time.nullable().describe("The last of them."),
    grants: z
      .array(z.string())
      .readonly()
      .nullable()
      .describe("The grants that added to the user's groups or satisfied the rule. Null: there was none."),
    podFacts: z
      .record(z.string(), z.unknown())
      .nullable()
      .describe(
        "Of changes to pods and their templates, what the body asks for: the fields are those of `pod_facts` in the reference.",
      ),
  })
  .meta({ id: "ApiRequest", description: "One API request in the audit log." });

export const apiRequestPage = z
  .strictObject({ items: z.array(apiRequest).describe("Newest first."), next: nextPage })
  .meta({ id: "ApiRequestPage", description: "One page of API requests." });
