/**
 * What the Workers run with is what this checkout derives from the deployment file and Terraform's outputs.
 */
import { joinConfigVariables, splitIntoVariables } from "../../../../worker/config/variables.ts";
import { canonicalJson } from "../../../canonical-json.ts";
import { type Plan, tcpServicesOf } from "../../../deployment/plan.ts";
import type { Cloudflare } from "../../../ports/cloudflare.ts";
import { type Check, failure, passed } from "../../check.ts";
import { accountCheck, unlessNotFound } from "./account-check.ts";
import { type Binding, readBindings } from "./worker-api.ts";

export function workerConfigCheck(plan: Plan, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: "worker-config",
    api,
    run: async (cloudflare) => {
      const { edge, objects } = plan.workers;
      const ofEdge = await readBindings(cloudflare, edge);
      // Whether the objects' Worker exists is a check of its own.
      const ofObjects = await unlessNotFound(readBindings(cloudflare, objects));
      const differing = [
        ...differingFields(plan, ofEdge),
        ...differingBindings(plan, ofEdge).map((name) => `${name} of ${edge}`),
        ...(ofObjects
          ? [...differingBindings(plan, ofObjects), ...lackingServices(tcpServicesOf(plan), ofObjects)].map(
              (name) => `${name} of ${objects}`,
            )
          : []),
      ];
      if (differing.length === 0) return passed("the Workers run with the configuration that this checkout derives");
      return failure(
        `deployed and derived differ in ${differing.join(", ")}`,
        "npx sallyport deploy; if nobody changed the deployment file, find out who changed the Worker",
      );
    },
  });
}

/** Names of the document's fields only: values may be confidential. */
function differingFields({ document }: Plan, bindings: readonly Binding[]): string[] {
  const variables = Object.fromEntries(bindings.map(({ name, json, text }) => [name, json ?? text]));
  const deployed = parseObject(joinConfigVariables(variables));
  if (!deployed) return ["SALLYPORT_CONFIG"];
  const derived = parseObject(joinConfigVariables(splitIntoVariables(document))) ?? {};
  const names = [...new Set([...Object.keys(deployed), ...Object.keys(derived)])];
  return names.filter((name) => canonicalJson(deployed[name]) !== canonicalJson(derived[name]));
}

function parseObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  let parsed = value;
  try {
    if (typeof value === "string") parsed = JSON.parse(value);
  } catch {
    return undefined;
  }
  return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
}

/** The bindings that both Workers have. */
function differingBindings({ database, recordings, clusters }: Plan, bindings: readonly Binding[]): string[] {
  const hasDatabase = bindings.some(
    ({ type, id, database_id }) => type === "d1" && (id ?? database_id) === database.id,
  );
  const hasBucket = bindings.some(({ type, bucket_name }) => type === "r2_bucket" && bucket_name === recordings.bucket);
  return [
    ...(hasDatabase ? [] : ["the D1 binding"]),
    ...(hasBucket ? [] : ["the R2 binding"]),
    ...lackingServices(clusters, bindings),
  ];
}

function lackingServices(
  services: readonly { readonly binding: string; readonly vpcServiceId: string }[],
  bindings: readonly Binding[],
): string[] {
  return services
    .filter(
      ({ binding, vpcServiceId }) =>
        !bindings.some(
          ({ type, name, service_id }) => type === "vpc_service" && name === binding && service_id === vpcServiceId,
        ),
    )
    .map(({ binding }) => `the binding ${binding}`);
}
