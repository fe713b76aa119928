import type { Plan } from "../../../deployment/plan.ts";
import type { Cloudflare } from "../../../ports/cloudflare.ts";
import { type Check, failure, passed } from "../../check.ts";
import { accountCheck } from "./account-check.ts";
import { readCustomDomains } from "./worker-api.ts";

/** A host name of the deployment leads to the edge. */
export function customDomainCheck({ workers }: Plan, hostname: string, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: `custom-domain:${hostname}`,
    api,
    run: async (cloudflare) => {
      const found = (await readCustomDomains(cloudflare)).find((domain) => domain.hostname === hostname);
      if (!found) {
        return failure(
          "it is not a custom domain of any Worker",
          "npx sallyport deploy makes it one; its zone must be in this account",
        );
      }
      return found.service === workers.edge
        ? passed(`it leads to ${workers.edge}`)
        : failure(
            `it leads to another Worker, ${found.service}`,
            "remove it from that Worker, then npx sallyport deploy",
          );
    },
  });
}
