import { err, ok } from "../../../common/result.ts";
import { denial } from "../../denials.ts";
import { explain, type Question } from "../../policy/explain.ts";
import type { Handler } from "./handler.ts";

/** The same stages as a request goes through. Nothing is sent, and nobody's groups are looked up. */
export const explainRequest: Handler<"explainRequest"> = async ({ query }, { config }) => {
  const { as: who, request, cluster: name, country, upgrade, contentType, kubectlAs } = query;
  if (who === undefined) return err(denial("bad_request", "say who would ask, as in ?as=alice@example.com"));
  if (request === undefined) return err(denial("bad_request", "say what for, as in ?request=GET+/api/v1/pods"));
  const cluster = config.clusters.find((one) => name === undefined || one.name === name);
  if (!cluster)
    return err(denial("bad_request", `no cluster has this name: ${config.clusters.map(nameOf).join(", ")}`));
  const [method = "", target = ""] = request.split(" ");
  const question: Question = {
    ...{ who, method, target, country, upgrade, contentType, kubectlAs },
    ...{ groups: query.group, groupNames: query.groupName, posture: query.posture, grants: query.grant },
    kubectlAsGroups: query.kubectlAsGroup,
    claims: query.claim.map((claim) => {
      const at = claim.indexOf("=");
      return [claim.slice(0, at), claim.slice(at + 1)];
    }),
    // The one cluster of a document without host names is the first.
    host: cluster.hostnames[0],
  };
  const { isAllowed, steps } = explain(question, config);
  return ok({ allowed: isAllowed, steps: steps.map((step) => ({ ...step, rule: step.rule ?? null })) });
};

function nameOf({ name }: { readonly name: string }): string {
  return name;
}
