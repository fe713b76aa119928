import { z } from "zod";
import { badRequest } from "../api/status.ts";
import type { Authorizer } from "./authorizer.ts";
import type { UserInfo } from "./identity.ts";
import type { RequestInfo } from "./request-info.ts";

/** Questions that users may ask about themselves. None is stored. */

const optional = z.string().default("");
const accessReviewSchema = z.looseObject({
  spec: z.looseObject({
    resourceAttributes: z
      .looseObject({
        namespace: optional,
        verb: optional,
        group: optional,
        version: optional,
        resource: optional,
        subresource: optional,
        name: optional,
      })
      .optional(),
    nonResourceAttributes: z.looseObject({ path: optional, verb: optional }).optional(),
  }),
});
const rulesReviewSchema = z.looseObject({ spec: z.looseObject({ namespace: z.string().default("") }) });

/** Answers a review. @throws StatusError 400 */
export function review(resource: string, body: unknown, user: UserInfo, authorizer: Authorizer): object {
  switch (resource) {
    case "selfsubjectreviews":
      return answer("authentication.k8s.io/v1", "SelfSubjectReview", { status: { userInfo: user } });
    case "selfsubjectaccessreviews":
      return accessReview(body, user, authorizer);
    case "selfsubjectrulesreviews":
      return rulesReview(body, user, authorizer);
    default:
      throw badRequest(`unknown review ${resource}`);
  }
}

function accessReview(body: unknown, user: UserInfo, authorizer: Authorizer): object {
  const parsed = accessReviewSchema.safeParse(body);
  if (!parsed.success) throw badRequest("invalid SelfSubjectAccessReview");
  const { resourceAttributes, nonResourceAttributes } = parsed.data.spec;
  let request: RequestInfo;
  if (resourceAttributes !== undefined) request = { isResource: true, path: "", ...resourceAttributes };
  else if (nonResourceAttributes !== undefined) request = { isResource: false, ...nonResourceAttributes };
  else throw badRequest("exactly one of nonResourceAttributes or resourceAttributes must be specified");
  const { allowed, reason } = authorizer.decide(user, request);
  const status = { allowed, ...(reason === "" ? {} : { reason }) };
  return answer("authorization.k8s.io/v1", "SelfSubjectAccessReview", { spec: parsed.data.spec, status });
}

function rulesReview(body: unknown, user: UserInfo, authorizer: Authorizer): object {
  const parsed = rulesReviewSchema.safeParse(body);
  if (!parsed.success || parsed.data.spec.namespace === "") throw badRequest("no namespace on request");
  const rules = authorizer.rulesFor(user, parsed.data.spec.namespace);
  const status = {
    resourceRules: rules.filter(({ resources }) => resources !== undefined),
    nonResourceRules: rules.filter(({ nonResourceURLs }) => nonResourceURLs !== undefined),
    incomplete: false,
  };
  return answer("authorization.k8s.io/v1", "SelfSubjectRulesReview", { spec: {}, status });
}

const answer = (apiVersion: string, kind: string, rest: object): object => ({
  kind,
  apiVersion,
  metadata: { creationTimestamp: null },
  ...rest,
});
