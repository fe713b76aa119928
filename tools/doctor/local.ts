/** Checks of a local stack (`npm start`): what makes sense where Access is a stand-in and everybody is on loopback. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import type { Migration } from "../../dev/stack/migrations.ts";
import { OperatorError } from "../deployment/operator-error.ts";
import type { HttpAnswer } from "../ports/http.ts";
import { type Check, type Dependencies, fail, ok } from "./check.ts";
import { longestOpenSession, migrationsCheck, sessionsCheck, triggersCheck } from "./checks/audit-log.ts";
import { kubectlVersionCheck } from "./checks/machine.ts";
import { auditRow, type Query, REVIEW_REQUEST, signingKeysCheck } from "./checks/outside.ts";

const endpoints = z.object({
  personas: z.object({
    alice: z.object({ email: z.string(), url: z.string() }),
    admin: z.object({ url: z.string() }),
    mallory: z.object({ url: z.string() }),
  }),
  d1: z.string(),
  access: z.object({ issuer: z.string() }),
});

export type Endpoints = z.output<typeof endpoints>;

/** @throws OperatorError where no local stack runs */
export function readEndpoints(stateDir: string): Endpoints {
  const file = join(stateDir, "endpoints.json");
  if (!existsSync(file)) {
    throw new OperatorError(`there is no ${file}: run "npm start" first, or name its --state`);
  }
  return endpoints.parse(JSON.parse(readFileSync(file, "utf8")));
}

/** Reads the local D1's own file. */
export function localQuery(path: string): Query {
  return async <Row>(sql: string) => {
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      return database.prepare(sql).all() as Row[];
    } finally {
      database.close();
    }
  };
}

export function localChecks(
  { personas, d1, access }: Endpoints,
  migrations: readonly Migration[],
  env: Readonly<Record<string, string | undefined>>,
  ports: Dependencies,
): Check[] {
  const query = localQuery(d1);
  const asAlice = (path: string, more = {}) => ports.http({ url: `${personas.alice.url}${path}`, ...more });
  const answers = (
    id: string,
    ask: () => Promise<HttpAnswer>,
    wanted: number,
    words: string,
    advice: string,
  ): Check => ({
    id,
    run: async () => {
      const { status } = await ask();
      return status === wanted ? ok(words) : fail(`HTTP ${status} in place of ${wanted}`, advice);
    },
  });
  const log = "see sallyport.log in the state folder";
  return [
    kubectlVersionCheck(ports, env),
    signingKeysCheck({ access: { teamDomain: access.issuer, audiences: [], adminAudiences: [] } }, ports),
    answers("health", () => asAlice("/-/healthz"), 200, "the Worker runs", log),
    answers("whoami", () => asAlice("/-/whoami"), 200, `the Worker knows ${personas.alice.email}`, log),
    answers(
      "stranger",
      () => ports.http({ url: `${personas.mallory.url}/-/whoami` }),
      403,
      "whom no rule knows is refused",
      "look at the identity rules: somebody whom none should know is let in",
    ),
    answers(
      "admin-api",
      () => asAlice("/-/admin/sessions?limit=1"),
      403,
      "who is no administrator is refused by the admin API",
      "look at the roles of the identity rules",
    ),
    answers("through", () => asAlice("/version"), 200, "a request comes through to the cluster", log),
    migrationsCheck(migrations, query),
    triggersCheck(migrations, query),
    sessionsCheck(longestOpenSession({}), query, ports.now),
    {
      id: "audit-trail",
      run: () => auditRow(query, ports, (headers) => asAlice(REVIEW_REQUEST.path, { ...REVIEW_REQUEST, headers })),
    },
  ];
}
