/**
 * Checks of a local stack (`npm start`): those that make sense with a fake Access and everything on loopback.
 */
import { ok } from "../../common/result.ts";
import type { Migration } from "../../dev/stack/migrations.ts";
import { limitsSchema } from "../../worker/config/shared-fields.ts";
import { localDatabase } from "../audit-source.ts";
import type { Endpoints } from "../deployment/local-stack.ts";
import { type Check, type Dependencies, failure, passed } from "./check.ts";
import { signingKeysCheck } from "./checks/access.ts";
import { migrationsCheck, sealsCheck, sessionsCheck, triggersCheck } from "./checks/audit-database.ts";
import { drainCheck } from "./checks/drain.ts";
import { kubectlVersionCheck } from "./checks/kubectl.ts";
import { findOwnRequest, REVIEW_REQUEST } from "./checks/through-access.ts";
import { localWebhooksCheck } from "./checks/webhooks.ts";

export function localChecks(
  { personas, d1, access }: Endpoints,
  migrations: readonly Migration[],
  env: Readonly<Record<string, string | undefined>>,
  dependencies: Dependencies,
): Check[] {
  const query = localDatabase(d1);
  const { alice, mallory } = personas;
  const log = "see sallyport.log in the state folder";
  const statusCheck = (id: string, url: string, expected: number, message: string, advice: string): Check => ({
    id,
    run: async () => {
      const { status } = await dependencies.http({ url });
      return status === expected ? passed(message) : failure(`HTTP ${status} instead of ${expected}`, advice);
    },
  });
  return [
    kubectlVersionCheck(dependencies, env),
    signingKeysCheck({ teamDomain: access.issuer }, dependencies),
    statusCheck("health", `${alice.url}/-/healthz`, 200, "the Worker runs", log),
    statusCheck("whoami", `${alice.url}/-/whoami`, 200, `the Worker knows ${alice.email}`, log),
    statusCheck(
      "stranger",
      `${mallory.url}/-/whoami`,
      403,
      "a person without an identity rule is refused",
      "check the identity rules: they match a person whom none should match",
    ),
    statusCheck(
      "admin-api",
      `${alice.url}/-/admin/sessions?limit=1`,
      403,
      "the admin API refuses a person without the role admin",
      "check the roles of the identity rules",
    ),
    statusCheck("through", `${alice.url}/version`, 200, "a request reaches the cluster", log),
    migrationsCheck(migrations, query),
    triggersCheck(migrations, query),
    sealsCheck(query, dependencies.now),
    drainCheck(query, dependencies.now),
    localWebhooksCheck(
      { origin: personas.admin.url, teamDomain: access.issuer, credentials: undefined },
      dependencies.http,
    ),
    sessionsCheck(limitsSchema.parse({}).maxDurationSeconds, query, dependencies.now),
    {
      id: "audit-trail",
      run: () =>
        findOwnRequest(query, dependencies, async (headers) => {
          const { path, ...request } = REVIEW_REQUEST;
          return ok(await dependencies.http({ url: `${alice.url}${path}`, ...request, headers }));
        }),
    },
  ];
}
