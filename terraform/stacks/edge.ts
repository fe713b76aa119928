/**
 * The stack of a deployment's resources in its Cloudflare account, except the two Workers.
 *
 * wrangler deploys the Workers with their Durable Object migrations, variables, custom domains and cron
 * triggers, because it builds their code, and a custom domain needs an existing Worker. Terraform would need
 * two applies for that, and its provider drops the `service_id` of a VPC binding. wrangler gets the ids from
 * this stack's outputs.
 */
import {
  ConnectivityDirectoryService,
  type ConnectivityDirectoryServiceHost,
} from "@cdktf/provider-cloudflare/lib/connectivity-directory-service/index.js";
import { DataCloudflareZeroTrustTunnelCloudflaredToken } from "@cdktf/provider-cloudflare/lib/data-cloudflare-zero-trust-tunnel-cloudflared-token/index.js";
import { CloudflareProvider } from "@cdktf/provider-cloudflare/lib/provider/index.js";
import { ZeroTrustTunnelCloudflared } from "@cdktf/provider-cloudflare/lib/zero-trust-tunnel-cloudflared/index.js";
import { TerraformOutput, TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import { OUTPUT } from "../config/outputs.ts";
import type { DeployedCluster, Deployment } from "../config/schema.ts";
import { mayUseTcp } from "../config/worker-document.ts";
import { PROXY_PORT } from "../manifests/names.ts";
import { accessResources } from "./access.ts";
import { auditStorageResources } from "./audit-storage.ts";
import { type StateOptions, setBackend } from "./backend.ts";

export const EDGE_STACK = "edge";
/** The binding was made from 5.14. 5.19 fixed TLS settings of VPC services and much of Access. */
const CLOUDFLARE_PROVIDER = ">= 5.19, < 6";

export class EdgeStack extends TerraformStack {
  constructor(scope: Construct, deployment: Deployment, state: StateOptions) {
    super(scope, EDGE_STACK);
    setBackend(this, state);
    // The provider reads its token from CLOUDFLARE_API_TOKEN: no file contains a secret.
    new CloudflareProvider(this, "cloudflare", {});
    this.addOverride("terraform.required_providers.cloudflare.version", CLOUDFLARE_PROVIDER);

    const { database, recordings, exports } = auditStorageResources(this, deployment);
    const { tokens, applications, adminApplications } = accessResources(this, deployment);
    const links = deployment.clusters.map((cluster) => ({ name: cluster.name, ...link(this, deployment, cluster) }));
    const byCluster = <T>(pick: (link: (typeof links)[number]) => T) =>
      Object.fromEntries(links.map((each) => [each.name, pick(each)]));
    const byToken = <T>(pick: (token: { clientId: string; clientSecret: string }) => T) =>
      Object.fromEntries([...tokens].map(([name, token]) => [name, pick(token)]));

    this.#output(OUTPUT.account, deployment.account);
    this.#output(OUTPUT.teamDomain, deployment.access.teamDomain);
    this.#output(OUTPUT.auditDatabaseId, database.id);
    this.#output(OUTPUT.auditDatabaseName, database.name);
    this.#output(OUTPUT.recordingsBucket, recordings.name);
    if (exports) this.#output(OUTPUT.exportBucket, exports.name);
    this.#output(OUTPUT.audience, applications[0]?.aud);
    this.#output(OUTPUT.adminAudience, adminApplications[0]?.aud);
    this.#output(
      OUTPUT.audiences,
      applications.map(({ aud }) => aud),
    );
    this.#output(
      OUTPUT.adminAudiences,
      adminApplications.map(({ aud }) => aud),
    );
    this.#output(
      OUTPUT.vpcServiceIds,
      byCluster(({ service }) => service.serviceId),
    );
    this.#output(
      OUTPUT.vpcTcpServiceIds,
      Object.fromEntries(links.flatMap(({ name, tcpService }) => (tcpService ? [[name, tcpService.serviceId]] : []))),
    );
    this.#output(
      OUTPUT.tunnelIds,
      byCluster(({ tunnel }) => tunnel.id),
    );
    this.#output(
      OUTPUT.tunnelTokens,
      byCluster(({ token }) => token.token),
      true,
    );
    this.#output(
      OUTPUT.serviceTokenClientIds,
      byToken(({ clientId }) => clientId),
    );
    this.#output(
      OUTPUT.serviceTokenSecrets,
      byToken(({ clientSecret }) => clientSecret),
      true,
    );
  }

  #output(name: string, value: unknown, sensitive = false): void {
    new TerraformOutput(this, name, { value, ...(sensitive && { sensitive }) }).overrideLogicalId(name);
  }
}

/** The path into one cluster: a tunnel, and the only services that the Workers can reach through it. */
function link(scope: Construct, deployment: Deployment, cluster: DeployedCluster) {
  const { name, account: accountId } = deployment;
  // Configured in the account, without a public host name: nobody reaches it from the Internet.
  const tunnel = new ZeroTrustTunnelCloudflared(scope, `tunnel-${cluster.name}`, {
    accountId,
    name: `${name}-${cluster.name}`,
    configSrc: "cloudflare",
  });
  const token = new DataCloudflareZeroTrustTunnelCloudflaredToken(scope, `tunnel-token-${cluster.name}`, {
    accountId,
    tunnelId: tunnel.id,
  });
  // Loopback within the pod: TLS begins at the sidecar, which verifies the API server by the cluster's own
  // CA. An address, because the name `localhost` may resolve to ::1, where nothing listens.
  const host = { ipv4: "127.0.0.1", network: { tunnelId: tunnel.id } };
  const service = new ConnectivityDirectoryService(scope, `vpc-service-${cluster.name}`, {
    accountId,
    name: `${name}-${cluster.name}`,
    type: "http",
    // Without an HTTPS port no certificate is verified here, so no verification has to be turned off.
    httpPort: PROXY_PORT,
    host,
  });
  return {
    tunnel,
    token,
    service,
    tcpService: mayUseTcp(cluster) ? tcpServiceOf(scope, deployment, cluster, host) : undefined,
  };
}

/**
 * The same sidecar for sessions over TCP. A VPC network binding of the tunnel would also have `connect()`,
 * but leads to every address behind the tunnel, and whoever deploys it needs the role Connectivity Directory
 * Admin instead of Bind.
 */
function tcpServiceOf(
  scope: Construct,
  { name, account: accountId }: Deployment,
  cluster: DeployedCluster,
  host: ConnectivityDirectoryServiceHost,
): ConnectivityDirectoryService {
  const service = new ConnectivityDirectoryService(scope, `vpc-tcp-service-${cluster.name}`, {
    accountId,
    name: `${name}-${cluster.name}-tcp`,
    type: "tcp",
    host,
  });
  // Provider 5.19 has the field, the binding of 5.14 does not.
  service.addOverride("tcp_port", PROXY_PORT);
  return service;
}
