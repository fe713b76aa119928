/** The two Workers: that they exist, belong together, and are reached through Access only. */

import { hostnamesOf, type Plan } from "../../../deployment/plan.ts";
import { parseVersionTag } from "../../../deployment/version-tag.ts";
import { type Cloudflare, isForbidden } from "../../../ports/cloudflare.ts";
import { type Check, failure, passed, skipped, warning } from "../../check.ts";
import { accountCheck, unlessNotFound } from "./account-check.ts";
import {
  readActiveVersions,
  readBindings,
  readCustomDomains,
  readRoutes,
  readSubdomain,
  type Version,
} from "./worker-api.ts";

/** The classes of the objects' Worker, each of which the edge binds. */
const OBJECT_CLASSES = ["UserSessions", "Directory"] as const;

/** The edge's namespace bindings lead to the objects' Worker, which exists. */
export function objectsWorkerCheck({ workers }: Plan, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: "objects-worker",
    api,
    run: async (cloudflare) => {
      const deploy = "npx sallyport deploy";
      if ((await unlessNotFound(readBindings(cloudflare, workers.objects))) === undefined) {
        return failure(`there is no Worker ${workers.objects}`, deploy);
      }
      const bindings = await readBindings(cloudflare, workers.edge);
      for (const objectClass of OBJECT_CLASSES) {
        const namespace = bindings.find(
          ({ type, class_name }) => type === "durable_object_namespace" && class_name === objectClass,
        );
        if (!namespace) return failure(`${workers.edge} has no binding to the objects' class ${objectClass}`, deploy);
        // Without a name the namespace is the edge's own.
        const owner = namespace.script_name ?? workers.edge;
        if (owner === workers.objects) continue;
        return failure(
          `the binding ${namespace.name} of ${workers.edge} leads to ${owner}, not ${workers.objects}`,
          deploy,
        );
      }
      return passed(`${workers.edge} is bound to the objects of ${workers.objects}`);
    },
  });
}

/** Neither Worker answers under workers.dev or preview URLs: both bypass Access. */
export function workersDevCheck({ workers }: Plan, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: "workers-dev",
    api,
    run: async (cloudflare) => {
      const open: string[] = [];
      for (const worker of Object.values(workers)) {
        // Whether the objects' Worker exists is a check of its own.
        const subdomain = await unlessNotFound(readSubdomain(cloudflare, worker));
        if (subdomain?.enabled) open.push(`workers.dev of ${worker}`);
        if (subdomain?.previews_enabled) open.push(`preview URLs of ${worker}`);
      }
      return open.length === 0
        ? passed("workers.dev and preview URLs are off")
        : failure(
            `open past Access: ${open.join(" and ")}`,
            "npx sallyport deploy turns them off; find out who turned them on",
          );
    },
  });
}

/** Nothing but the deployment's host names, as custom domains of the edge, leads to either Worker. */
export function routesCheck(plan: Plan, api: Cloudflare | undefined): Check {
  const { edge, objects } = plan.workers;
  const hostnames = hostnamesOf(plan);
  return accountCheck({
    id: "routes",
    api,
    run: async (cloudflare) => {
      const domains = await readCustomDomains(cloudflare);
      const extra = domains
        .filter(({ service, hostname }) => service === objects || (service === edge && !hostnames.includes(hostname)))
        .map(({ service, hostname }) => `${hostname} leads to ${service}`);
      const zones = new Set(
        domains.filter(({ hostname }) => hostnames.includes(hostname)).map(({ zone_id }) => zone_id),
      );
      let unread = false;
      for (const zone of zones) {
        try {
          const routes = await readRoutes(cloudflare, zone);
          const ours = routes.filter(({ script }) => script === edge || script === objects);
          extra.push(...ours.map(({ pattern, script }) => `${pattern} leads to ${script}`));
        } catch (error) {
          if (!isForbidden(error)) throw error;
          unread = true;
        }
      }
      if (extra.length > 0) {
        return failure(
          `possibly past Access: ${extra.join(", ")}`,
          "remove the route or custom domain, or add the host name to the deployment file",
        );
      }
      if (unread)
        return skipped("the API token may not read the zone's routes: add the permission Workers Routes Read");
      return passed(`only the deployment's host names lead to ${edge}, and nothing to ${objects}`);
    },
  });
}

/** Both Workers run one version each, uploaded by `sallyport deploy` and built with the same contract. */
export function versionsCheck({ workers }: Plan, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: "versions",
    api,
    run: async (cloudflare) => {
      const edge = await readActiveVersions(cloudflare, workers.edge);
      const objects = await unlessNotFound(readActiveVersions(cloudflare, workers.objects));
      if (!objects) return skipped(`there is no Worker ${workers.objects}`);
      const all = [
        ...edge.map((version) => ({ worker: workers.edge, version })),
        ...objects.map((version) => ({ worker: workers.objects, version })),
      ];
      const message = all.map(({ worker, version }) => describeVersion(worker, version)).join(", ");
      const contracts = all.map(({ version }) => tagOf(version)?.contract);
      if (contracts.includes(undefined)) {
        return warning(
          `${message}: not all were uploaded by "sallyport deploy"`,
          "find out who deployed; npx sallyport deploy puts it right",
        );
      }
      if (new Set(contracts).size > 1) {
        return failure(`${message}: the contracts differ`, "npx sallyport deploy, from one checkout");
      }
      if (edge.length > 1 || objects.length > 1) {
        return warning(`${message}: a gradual deployment is under way`, "finish it, or run npx sallyport deploy");
      }
      return passed(message);
    },
  });
}

const tagOf = ({ annotations }: Version) => parseVersionTag(annotations?.["workers/tag"]);

function describeVersion(worker: string, version: Version): string {
  const tag = tagOf(version);
  const contract = tag === undefined ? "" : ` (contract ${tag.contract}, bundle ${tag.bundle})`;
  return `${worker} runs version ${version.id}${contract}`;
}
