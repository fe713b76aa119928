/** What the edge stack hands over: the names of its outputs, in one place. */

/** As `terraform output -json` has them, each under `value`. */
export const OUTPUT = {
  account: "account_id",
  auditDatabaseId: "audit_database_id",
  auditDatabaseName: "audit_database_name",
  recordingsBucket: "recordings_bucket",
  /** Only where the record is exported. */
  exportBucket: "export_bucket",
  teamDomain: "team_domain",
  /** Of the first application: see `audiences`. */
  audience: "access_audience",
  adminAudience: "admin_audience",
  /** Of all: an application takes five host names, so there may be several. */
  audiences: "access_audiences",
  adminAudiences: "admin_audiences",
  vpcServiceIds: "vpc_service_ids",
  tunnelIds: "tunnel_ids",
  /** Sensitive. */
  tunnelTokens: "tunnel_tokens",
  serviceTokenClientIds: "service_token_client_ids",
  /** Sensitive. */
  serviceTokenSecrets: "service_token_secrets",
} as const;

/** What the Worker's document is made of. The lists may be missing: then there is one application of each kind. */
export interface DocumentOutputs {
  readonly access_audience: string;
  readonly admin_audience: string;
  readonly access_audiences?: readonly string[] | undefined;
  readonly admin_audiences?: readonly string[] | undefined;
  /** Client ids by the names in `access.serviceTokens`. */
  readonly service_token_client_ids?: Readonly<Record<string, string>> | undefined;
}
