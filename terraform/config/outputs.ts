/** The outputs of the edge stack: the one place of their names. */

/** Names in `terraform output -json`, which has each value under `value`. */
export const OUTPUT = {
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
  /** Sensitive. */
  tunnelTokens: "tunnel_tokens",
  serviceTokenClientIds: "service_token_client_ids",
  /** Sensitive. */
  serviceTokenSecrets: "service_token_secrets",
} as const;

/**
 * The outputs that the Worker's configuration needs. Without the lists there is one application of each kind.
 */
export interface DocumentOutputs {
  readonly access_audience: string;
  readonly admin_audience: string;
  readonly access_audiences?: readonly string[] | undefined;
  readonly admin_audiences?: readonly string[] | undefined;
  /** VPC services of type `tcp` by the names of clusters. */
  readonly vpc_tcp_service_ids?: Readonly<Record<string, string>> | undefined;
  /** Client ids by the names in `access.serviceTokens`. */
  readonly service_token_client_ids?: Readonly<Record<string, string>> | undefined;
}
