/**
 * The outputs of the edge stack: the one place of their names. None is a secret: service tokens' secrets are
 * only in the state of the stack `secrets`, a tunnel's token only in that of its cluster's stack.
 */

/** Names in `terraform output -json`, which has each value under `value`. */
export const OUTPUT = {
  /** The deployment's name, so that nobody takes another deployment's outputs. */
  deployment: "deployment",
  account: "account_id",
  auditDatabaseId: "audit_database_id",
  auditDatabaseName: "audit_database_name",
  recordingsBucket: "recordings_bucket",
  /** Only where the audit log is exported. */
  exportBucket: "export_bucket",
  teamDomain: "team_domain",
  /** The first application's: see `audiences`. */
  audience: "access_audience",
  adminAudience: "admin_audience",
  /** Those of all applications. There is one for every five host names. */
  audiences: "access_audiences",
  adminAudiences: "admin_audiences",
  vpcServiceIds: "vpc_service_ids",
  /** Only of clusters that sessions may reach over TCP. */
  vpcTcpServiceIds: "vpc_tcp_service_ids",
  tunnelIds: "tunnel_ids",
  serviceTokenClientIds: "service_token_client_ids",
  /** Of the applications for service tokens, where they have their own. */
  serviceTokenAudiences: "service_token_audiences",
} as const;

/** What each output is, for docs/DEPLOY.md. */
export const OUTPUT_MEANINGS: Readonly<Record<keyof typeof OUTPUT, string>> = {
  deployment: "the deployment's name",
  account: "the account's id",
  auditDatabaseId: "the audit database's id",
  auditDatabaseName: "its name",
  recordingsBucket: "the bucket of recordings and seals",
  exportBucket: "the bucket of the export; absent where nothing is exported",
  teamDomain: "the team domain, as in the deployment file",
  audience: "the audience tag of the first application in front of the host names",
  adminAudience: "that of the first application in front of `/-/admin`",
  audiences: "those of all applications in front of the host names",
  adminAudiences: "those of all applications in front of `/-/admin`",
  vpcServiceIds: "VPC services of type `http`, by the names of clusters",
  vpcTcpServiceIds: "VPC services of type `tcp`, by the names of clusters that sessions may reach over TCP",
  tunnelIds: "tunnels, by the names of clusters",
  serviceTokenClientIds: "client ids, by the names of service tokens",
  serviceTokenAudiences: "audience tags of the applications for service tokens",
};

/**
 * The outputs of the stack `secrets`, which only the edge stack reads. No secret either: another stack's
 * state would keep it.
 */
export const SECRETS_OUTPUT = { ids: "service_token_ids", clientIds: "service_token_client_ids" } as const;

/**
 * The outputs that the Worker's configuration needs. Without the lists there is one application of each kind.
 */
export interface DocumentOutputs {
  readonly access_audience: string;
  readonly admin_audience: string;
  readonly access_audiences?: readonly string[] | undefined;
  readonly admin_audiences?: readonly string[] | undefined;
  readonly service_token_audiences?: readonly string[] | undefined;
  /** VPC services of type `tcp` by the names of clusters. */
  readonly vpc_tcp_service_ids?: Readonly<Record<string, string>> | undefined;
  /** Client ids by the names in `access.serviceTokens`. */
  readonly service_token_client_ids?: Readonly<Record<string, string>> | undefined;
}
