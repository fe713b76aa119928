/**
 * Whom the objects tell of events. Nothing is sent to anybody: `POST /-/admin/webhooks/test` does that.
 */
import * as z from "zod";
import { WEBHOOKS_SECRET } from "../../../durable/notifications/configuration.ts";
import { type AdminApi, askAdminApi } from "../../deployment/admin-api.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import type { Plan } from "../../deployment/plan.ts";
import type { Cloudflare } from "../../ports/cloudflare.ts";
import type { Http } from "../../ports/http.ts";
import { type Check, type Finding, failure, passed, skipped, warning } from "../check.ts";
import { unlessNotFound } from "./account/account-check.ts";
import { readBindings } from "./account/worker-api.ts";

/** As `GET /-/admin/webhooks` answers. */
const webhooksSchema = z.object({
  faults: z.array(z.string()),
  destinations: z.array(
    z.object({
      name: z.string(),
      waiting: z.int(),
      failures: z.int(),
      dropped: z.int(),
      isGone: z.boolean(),
    }),
  ),
});
type Destination = z.output<typeof webhooksSchema>["destinations"][number];

const NOBODY = passed("nobody is told of events");
const DEPLOY = "correct the file, and npx sallyport deploy --webhooks FILE";
const ASK_WITH =
  "set CF_ACCESS_TOKEN to what `cloudflared access token -app=https://HOST/-/admin` prints for an administrator";

/** @param api of a local stack, whose address is the sign-in */
export function localWebhooksCheck(api: AdminApi, http: Http): Check {
  return { id: "webhooks", run: () => askObjects(http, api) };
}

/**
 * The secret with whom to tell is a secret, and valid.
 *
 * @param plan.workers names the objects' Worker
 * @param api undefined without an administrator's credentials: only they may ask what the secret says
 * @param cloudflare undefined without an API token
 */
export function webhooksCheck(
  { workers }: Pick<Plan, "workers">,
  api: AdminApi | undefined,
  cloudflare: Cloudflare | undefined,
  http: Http,
): Check {
  return {
    id: "webhooks",
    run: async () => {
      // Whether the objects' Worker exists is a check of its own.
      const bindings = cloudflare && ((await unlessNotFound(readBindings(cloudflare, workers.objects))) ?? []);
      const binding = bindings?.find(({ name }) => name === WEBHOOKS_SECRET);
      if (binding && binding.type !== "secret_text") {
        return failure(
          `${WEBHOOKS_SECRET} of ${workers.objects} is readable by whoever may read the account`,
          `an address of a chat is a secret: make new ones, delete the variable, and ${DEPLOY}`,
        );
      }
      if (bindings && !binding) return NOBODY;
      return api ? askObjects(http, api) : skipped("only an administrator is told whether anybody is told", ASK_WITH);
    },
  };
}

async function askObjects(http: Http, api: AdminApi): Promise<Finding> {
  let state: z.output<typeof webhooksSchema>;
  try {
    state = await askAdminApi(http, api, webhooksSchema, { method: "GET", path: "webhooks", body: undefined });
  } catch (error) {
    if (error instanceof OperatorError) return skipped(error.message, ASK_WITH);
    throw error;
  }
  const { faults, destinations } = state;
  if (faults.length > 0) return failure(`nobody is told: ${WEBHOOKS_SECRET} has ${faults.join("; ")}`, DEPLOY);
  if (destinations.length === 0) return NOBODY;
  const troubled = destinations.flatMap((one) => troubleOf(one) ?? []);
  if (troubled.length > 0) {
    return warning(
      troubled.join("; "),
      "look for notification_not_delivered in the objects' log; POST /-/admin/webhooks/test sends a test (docs/NOTIFICATIONS.md)",
    );
  }
  return passed(`the objects tell ${destinations.map(({ name }) => name).join(", ")}`);
}

function troubleOf({ name, waiting, failures, dropped, isGone }: Destination): string | undefined {
  if (isGone) return `${name} answered 410, and is told nothing any more`;
  if (failures > 0) return `${name} failed ${failures} times in a row, and ${waiting} notifications wait`;
  return dropped > 0 ? `${name} will not get ${dropped} notifications` : undefined;
}
