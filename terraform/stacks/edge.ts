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
import { ZeroTrustTunnelCloudflared } from "@cdktf/provider-cloudflare/lib/zero-trust-tunnel-cloudflared/index.js";
import { TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import { OUTPUT, SECRETS_OUTPUT } from "../config/outputs.ts";
import type { DeployedCluster, Deployment } from "../config/schema.ts";
import { serviceTokenNames } from "../config/service-tokens.ts";
import { EDGE_STACK, SECRETS_STACK, serviceTokenAddress } from "../config/stack-names.ts";
import { mayUseTcp } from "../config/worker-document.ts";
import { PROXY_PORT } from "../manifests/names.ts";
import { accessResources } from "./access.ts";
import { auditStorageResources } from "./audit-storage.ts";
import { addOutput, outputsOf, type StateOptions, setBackend } from "./backend.ts";
import { cloudflareProvider } from "./providers.ts";

export class EdgeStack extends TerraformStack {
  constructor(scope: Construct, deployment: Deployment, state: StateOptions) {
    super(scope, EDGE_STACK);
    setBackend(this, state);
    cloudflareProvider(this);

    const { database, recordings, exports } = auditStorageResources(this, deployment);
    const tokens = serviceTokenNames(deployment);
    const secrets = tokens.length === 0 ? undefined : outputsOf(this, SECRETS_STACK, state);
    // They were in this stack once. It forgets them and destroys none: the stack of secrets imports them.
    // OpenTofu knows `lifecycle` here from 1.10 on, Terraform from 1.7.
    if (tokens.length > 0) {
      const forget = (token: string) => ({ from: serviceTokenAddress(token), lifecycle: { destroy: false } });
      this.addOverride("removed", tokens.map(forget));
    }
    const ofToken = (output: string) => (token: string) => `\${${secrets?.(output)}["${token}"]}`;
    const { applications, adminApplications, serviceTokenApplications } = accessResources(
      this,
      deployment,
      ofToken(SECRETS_OUTPUT.ids),
    );
    const links = deployment.clusters.map((cluster) => ({ name: cluster.name, ...link(this, deployment, cluster) }));
    const byCluster = <T>(pick: (link: (typeof links)[number]) => T) =>
      Object.fromEntries(links.map((each) => [each.name, pick(each)]));

    addOutput(this, OUTPUT.deployment, deployment.name);
    addOutput(this, OUTPUT.account, deployment.account);
    addOutput(this, OUTPUT.teamDomain, deployment.access.teamDomain);
    addOutput(this, OUTPUT.auditDatabaseId, database.id);
    addOutput(this, OUTPUT.auditDatabaseName, database.name);
    addOutput(this, OUTPUT.recordingsBucket, recordings.name);
    if (exports) addOutput(this, OUTPUT.exportBucket, exports.name);
    addOutput(this, OUTPUT.audience, applications[0]?.aud);
    addOutput(this, OUTPUT.adminAudience, adminApplications[0]?.aud);
    addOutput(
      this,
      OUTPUT.audiences,
      applications.map(({ aud }) => aud),
    );
    addOutput(
      this,
      OUTPUT.adminAudiences,
      adminApplications.map(({ aud }) => aud),
    );
    addOutput(
      this,
      OUTPUT.vpcServiceIds,
      byCluster(({ service }) => service.serviceId),
    );
    addOutput(
      this,
      OUTPUT.vpcTcpServiceIds,
      Object.fromEntries(links.flatMap(({ name, tcpService }) => (tcpService ? [[name, tcpService.serviceId]] : []))),
    );
    addOutput(
      this,
      OUTPUT.tunnelIds,
      byCluster(({ tunnel }) => tunnel.id),
    );
    const clientId = ofToken(SECRETS_OUTPUT.clientIds);
    addOutput(this, OUTPUT.serviceTokenClientIds, Object.fromEntries(tokens.map((token) => [token, clientId(token)])));
    addOutput(
      this,
      OUTPUT.serviceTokenAudiences,
      serviceTokenApplications.map(({ aud }) => aud),
    );
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
