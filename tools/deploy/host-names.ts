/**
 * Where host names lead before a deploy. wrangler takes over custom domains of other Workers, and DNS
 * records, without asking where its stdout is no terminal. So a deploy looks first.
 */
import * as z from "zod";
import { parseJson } from "../../common/json.ts";
import { OperatorError } from "../deployment/operator-error.ts";
import { type Cloudflare, isForbidden, possibleZones } from "../ports/cloudflare.ts";
import type { Http } from "../ports/http.ts";
import type { Wrangler } from "../ports/wrangler.ts";

export type HostNameState =
  /** A custom domain of the edge already. */
  | { readonly state: "ours" }
  /** Nothing has it. */
  | { readonly state: "free" }
  /** Something else has it, which a deploy would replace. */
  | { readonly state: "taken"; readonly by: string };

const domains = z.array(z.object({ hostname: z.string(), service: z.string() }));
const zones = z.array(z.object({ id: z.string(), name: z.string() }));
const records = z.array(z.object({ type: z.string(), name: z.string(), content: z.string().default("") }));

/** The records that a custom domain replaces. Others of the same name stay. */
const REPLACED_TYPES: readonly string[] = ["A", "AAAA", "CNAME"];

/**
 * Looks where a host name leads.
 *
 * @param edge the name of the edge's Worker
 * @throws OperatorError where that cannot be found out
 */
export async function lookUpHostName(
  hostname: string,
  { account, edge }: { readonly account: string; readonly edge: string },
  cloudflare: Cloudflare,
  http: Http,
): Promise<HostNameState> {
  const found = await cloudflare.get(`workers/domains?hostname=${hostname}`, domains);
  const domain = found.find((each) => each.hostname === hostname);
  if (domain)
    return domain.service === edge ? { state: "ours" } : { state: "taken", by: `the Worker ${domain.service}` };
  const zone = await findZone(hostname, account, cloudflare);
  if (!zone)
    throw new OperatorError(`no zone of the account has ${hostname}: add the domain, or correct clusters[].hostnames`);
  try {
    const all = await cloudflare.getOfZone(zone, `dns_records?name=${hostname}`, records);
    const replaced = all.filter(({ type }) => REPLACED_TYPES.includes(type));
    return replaced.length === 0
      ? { state: "free" }
      : { state: "taken", by: `DNS: ${replaced.map(({ type, content }) => `${type} ${content}`).join(", ")}` };
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return resolveHostName(hostname, http);
  }
}

/** The account's zone of a host name: the longest of its suffixes that is one. */
async function findZone(hostname: string, account: string, cloudflare: Cloudflare): Promise<string | undefined> {
  for (const name of possibleZones(hostname)) {
    const found = await cloudflare.getFromRoot(`zones?name=${name}&account.id=${account}`, zones);
    const zone = found.find((each) => each.name === name);
    if (zone) return zone.id;
  }
  return undefined;
}

/** https://developers.cloudflare.com/1.1.1.1/encryption/dns-over-https/make-api-requests/dns-json/ */
const DNS_URL = "https://cloudflare-dns.com/dns-query";
const dnsAnswer = z.object({
  Status: z.number(),
  Answer: z.array(z.object({ name: z.string(), data: z.string() })).default([]),
});
const NO_ERROR = 0;
const NO_SUCH_NAME = 3;

/** For a token that may not read DNS: what resolves has a record, or a wildcard covers it. */
async function resolveHostName(hostname: string, http: Http): Promise<HostNameState> {
  const answers: string[] = [];
  for (const type of ["A", "AAAA"]) {
    const url = `${DNS_URL}?name=${hostname}&type=${type}`;
    const { status, body } = await http({ url, headers: { accept: "application/dns-json" } });
    const parsed = status === 200 ? dnsAnswer.safeParse(parseJson(body)) : undefined;
    if (!parsed?.success || ![NO_ERROR, NO_SUCH_NAME].includes(parsed.data.Status)) {
      throw new OperatorError(
        `it is unknown whether ${hostname} has a DNS record: give the API token the permission DNS Read`,
      );
    }
    answers.push(...parsed.data.Answer.map(({ data }) => data));
  }
  return answers.length === 0
    ? { state: "free" }
    : { state: "taken", by: `DNS, where it resolves to ${[...new Set(answers)].join(", ")}` };
}

const tokenSchema = z.object({ token: z.string() });

/** The API token that wrangler itself uses: from the environment, or of its own sign-in. */
export async function wranglersToken(wrangler: Wrangler): Promise<string> {
  const { code, stdout } = await wrangler(["auth", "token", "--json"]);
  const parsed = code === 0 ? tokenSchema.safeParse(parseJson(stdout)) : undefined;
  // Not wrangler's output: it may contain a key.
  if (!parsed?.success) {
    throw new OperatorError("wrangler has no API token: set CLOUDFLARE_API_TOKEN, or run npx wrangler login");
  }
  return parsed.data.token;
}
