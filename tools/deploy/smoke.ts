/** Checks after a deploy that Access is in front, and that the new version answers. */

import { messageOf } from "../../common/errors.ts";
import { askAsStranger, type ServiceToken, serviceTokenHeaders } from "../deployment/access.ts";
import { hostsOf, type Plan, type PlannedHost } from "../deployment/plan.ts";
import type { Http, HttpAnswer } from "../ports/http.ts";

export interface SmokeDependencies {
  readonly http: Http;
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
}

/** A new version is everywhere within seconds, but a new custom domain needs its certificate first. */
const PATIENCE_MS = 120_000;
const RETRY_MS = 2_000;

/**
 * @param version that has just been deployed; undefined if wrangler did not say
 * @returns a line for each host name, and whether all are good
 */
export async function smoke(
  plan: Plan,
  version: string | undefined,
  token: ServiceToken | undefined,
  ports: SmokeDependencies,
): Promise<{ readonly isGood: boolean; readonly lines: readonly string[] }> {
  const until = ports.now() + PATIENCE_MS;
  const results = [];
  for (const host of hostsOf(plan)) {
    results.push(await patiently(() => checkHost(host, plan, version, token, ports.http), until, ports));
  }
  return {
    isGood: results.every(({ fault }) => fault === undefined),
    lines: results.map(({ fault, said }) => (fault === undefined ? `  ✓ ${said}` : `  ✗ ${fault}`)),
  };
}

interface Outcome {
  readonly fault?: string;
  readonly said?: string;
}

async function patiently(
  check: () => Promise<Outcome>,
  until: number,
  { now, wait }: SmokeDependencies,
): Promise<Outcome> {
  for (;;) {
    const outcome = await check();
    if (outcome.fault === undefined || now() >= until) return outcome;
    await wait(Math.min(RETRY_MS, Math.max(until - now(), 1)));
  }
}

async function checkHost(
  { hostname, audiences, isForServiceTokens }: PlannedHost,
  { access }: Plan,
  version: string | undefined,
  token: ServiceToken | undefined,
  http: Http,
): Promise<Outcome> {
  const url = `https://${hostname}/-/healthz`;
  try {
    const stranger = await askAsStranger(http, url, access.teamDomain);
    if (stranger.by !== "access") {
      return { fault: `${hostname}: it is not Access that answers a stranger: check the application's host names` };
    }
    if (stranger.audience !== undefined && !audiences.includes(stranger.audience)) {
      return {
        fault: `${hostname}: another Access application stands in front of it: check the applications' host names`,
      };
    }
    if (!isForServiceTokens) return { said: `${hostname}: Access answers a stranger` };
    if (!token) {
      return {
        said: `${hostname}: Access answers a stranger (to see the Worker, set CF_ACCESS_CLIENT_ID and _SECRET)`,
      };
    }
    return checkHealth(hostname, version, await http({ url, headers: serviceTokenHeaders(token) }));
  } catch (error) {
    return { fault: `${messageOf(error)}: a new custom domain takes some minutes; "npm run doctor" looks again` };
  }
}

function checkHealth(hostname: string, version: string | undefined, { status, body }: HttpAnswer): Outcome {
  if (status !== 200) {
    const why =
      status < 400 || status === 401 || status === 403
        ? "the service token is not let in by any policy"
        : "see npx wrangler tail";
    return { fault: `${hostname}: health is answered by ${status}: ${why}` };
  }
  const answering = versionIn(body);
  if (version !== undefined && answering !== version) {
    return { fault: `${hostname}: version ${answering ?? "unknown"} answers, not ${version} that was deployed` };
  }
  return { said: `${hostname}: Access answers a stranger, version ${answering ?? "unknown"} answers behind it` };
}

function versionIn(body: string): string | undefined {
  try {
    const { version } = JSON.parse(body) as { version?: unknown };
    return typeof version === "string" ? version : undefined;
  } catch {
    return undefined;
  }
}
