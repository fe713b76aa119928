/** Finds example values that were never replaced: nothing is deployed with one. Pure. */
import { type Plan, tcpServicesOf } from "./plan.ts";

/** Domains that RFC 2606 reserves for documentation. */
const EXAMPLE_HOST = /(^|\.)example(\.com|\.net|\.org)?$/;
const ACCOUNT = /^[0-9a-f]{32}$/;
const AUDIENCE = /^[0-9a-f]{64}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** One digit repeated, or digits counted up: not an id that Cloudflare generated. */
const MADE_UP = /^(.)\1*$|^(0123456789abcdef)+$/;

/** @returns a line for each placeholder: the field, and what to put there */
export function placeholders(plan: Plan): string[] {
  const found: string[] = [];
  const check = (field: string, value: string, form: RegExp, advice: string) => {
    if (!form.test(value) || MADE_UP.test(value.replaceAll("-", "")))
      found.push(`${field} is a placeholder: ${advice}`);
  };
  check("account", plan.account, ACCOUNT, '"npx wrangler whoami" shows your account id, 32 hexadecimal digits');
  const fromTerraform = "it comes from the edge stack's outputs";
  for (const audience of plan.access.audiences) check("access_audience", audience, AUDIENCE, fromTerraform);
  for (const audience of plan.access.adminAudiences) check("admin_audience", audience, AUDIENCE, fromTerraform);
  for (const audience of plan.access.serviceTokenAudiences) {
    check("service_token_audiences", audience, AUDIENCE, fromTerraform);
  }
  check("audit_database_id", plan.database.id, UUID, fromTerraform);
  for (const { name, vpcServiceId, tunnelId } of plan.clusters) {
    check(`vpc_service_ids.${name}`, vpcServiceId, UUID, fromTerraform);
    check(`tunnel_ids.${name}`, tunnelId, UUID, fromTerraform);
  }
  for (const { cluster, vpcServiceId } of tcpServicesOf(plan)) {
    check(`vpc_tcp_service_ids.${cluster}`, vpcServiceId, UUID, fromTerraform);
  }
  if (plan.access.audiences.some((audience) => plan.access.adminAudiences.includes(audience))) {
    found.push("admin_audience equals access_audience: the admin API needs an Access application of its own");
  }
  if (/^https:\/\/example\.cloudflareaccess\.com$/.test(plan.access.teamDomain)) {
    found.push("access.teamDomain is the example's: Zero Trust, Settings, shows your team domain");
  }
  for (const { name, hostnames } of plan.clusters) {
    for (const hostname of hostnames.filter((each) => EXAMPLE_HOST.test(each))) {
      found.push(`${hostname} of cluster ${name} is the example's: use a host name of a zone in your account`);
    }
  }
  return found;
}
