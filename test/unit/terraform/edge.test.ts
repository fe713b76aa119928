import { describe, expect, it } from "vitest";
import { applicationPolicies } from "../../../terraform/config/access-policies.ts";
import { OUTPUT, OUTPUT_MEANINGS } from "../../../terraform/config/outputs.ts";
import type { DeploymentInput } from "../../../terraform/config/schema.ts";
import { ROUTES } from "../../../worker/api/routes.ts";
import { buildUpstreamUrl } from "../../../worker/upstream/url.ts";
import {
  ACCOUNT,
  clusterInput,
  deploymentInput,
  deploymentOf,
  PROVIDER_ID,
  type StackJson,
  synthesize,
} from "../../support/deployment.ts";

type Change = Partial<Omit<DeploymentInput, "$schema">>;

function edgeOf(change: Change = {}): StackJson {
  const { edge } = synthesize(deploymentOf(change));
  if (!edge) throw new Error("there is no edge stack");
  return edge;
}

const access = deploymentInput().access;

describe("the edge stack", () => {
  const edge = edgeOf();

  it("requires a provider with what the binding lacks, and has no token in a file", () => {
    expect(edge.terraform.required_providers["cloudflare"]).toEqual({
      source: "cloudflare/cloudflare",
      version: ">= 5.19, < 6",
    });
    expect(edge.provider).toEqual({ cloudflare: [{}] });
  });

  it("has only the resources of the deployment, all in its account", () => {
    const made = Object.entries(edge.resource).flatMap(([type, byName]) =>
      Object.keys(byName).map((name) => `${type}.${name}`),
    );
    expect(new Set(made)).toEqual(
      new Set([
        "cloudflare_connectivity_directory_service.vpc-service-prod",
        "cloudflare_connectivity_directory_service.vpc-tcp-service-prod",
        "cloudflare_d1_database.audit-database",
        "cloudflare_r2_bucket.export-bucket",
        "cloudflare_r2_bucket.recordings-bucket",
        "cloudflare_r2_bucket_lifecycle.recordings-lifecycle",
        "cloudflare_r2_bucket_lock.recordings-lock",
        "cloudflare_zero_trust_access_application.admin-application",
        "cloudflare_zero_trust_access_application.application",
        "cloudflare_zero_trust_access_application.service-token-application",
        "cloudflare_zero_trust_access_policy.admin-people",
        "cloudflare_zero_trust_access_policy.user-people",
        "cloudflare_zero_trust_access_policy.user-services",
        "cloudflare_zero_trust_tunnel_cloudflared.tunnel-prod",
      ]),
    );
    for (const byName of Object.values(edge.resource)) {
      for (const attributes of Object.values(byName)) expect(attributes["account_id"]).toBe(ACCOUNT);
    }
  });

  it("outputs every id that wrangler and the clusters need", () => {
    const outputs = Object.fromEntries(Object.entries(edge.output ?? {}).map(([name, { value }]) => [name, value]));
    expect(outputs).toEqual({
      deployment: "sallyport",
      account_id: ACCOUNT,
      team_domain: "https://example.cloudflareaccess.com",
      audit_database_id: "${cloudflare_d1_database.audit-database.id}",
      audit_database_name: "${cloudflare_d1_database.audit-database.name}",
      recordings_bucket: "${cloudflare_r2_bucket.recordings-bucket.name}",
      export_bucket: "${cloudflare_r2_bucket.export-bucket.name}",
      access_audience: "${cloudflare_zero_trust_access_application.application.aud}",
      admin_audience: "${cloudflare_zero_trust_access_application.admin-application.aud}",
      access_audiences: ["${cloudflare_zero_trust_access_application.application.aud}"],
      admin_audiences: ["${cloudflare_zero_trust_access_application.admin-application.aud}"],
      vpc_service_ids: { prod: "${cloudflare_connectivity_directory_service.vpc-service-prod.service_id}" },
      vpc_tcp_service_ids: { prod: "${cloudflare_connectivity_directory_service.vpc-tcp-service-prod.service_id}" },
      tunnel_ids: { prod: "${cloudflare_zero_trust_tunnel_cloudflared.tunnel-prod.id}" },
      service_token_client_ids: { ci: '${data.terraform_remote_state.secrets.outputs.service_token_client_ids["ci"]}' },
      service_token_audiences: ["${cloudflare_zero_trust_access_application.service-token-application.aud}"],
    });
  });

  it("describes every output, in one place", () => {
    const meanings = Object.keys(OUTPUT_MEANINGS).map((key) => OUTPUT[key as keyof typeof OUTPUT]);
    expect(new Set(meanings)).toEqual(new Set(Object.keys(edge.output ?? {})));
  });

  it("has no secret in its state: no token of a tunnel, and no service token's secret", () => {
    expect(JSON.stringify(edge)).not.toMatch(/tunnel_cloudflared_token|access_service_token"|client_secret/);
    expect(edge.data).toEqual({ terraform_remote_state: { secrets: expect.anything() as unknown } });
  });
});

describe("audit storage", () => {
  it("has one location for database and buckets, and is protected from terraform destroy", () => {
    const { resource } = edgeOf();
    expect(resource["cloudflare_d1_database"]?.["audit-database"]).toEqual({
      account_id: ACCOUNT,
      name: "sallyport-audit",
      primary_location_hint: "weur",
      read_replication: { mode: "disabled" },
      lifecycle: { prevent_destroy: true },
    });
    expect(resource["cloudflare_r2_bucket"]).toEqual({
      "recordings-bucket": {
        account_id: ACCOUNT,
        name: "sallyport-recordings",
        location: "weur",
        lifecycle: { prevent_destroy: true },
      },
      "export-bucket": { account_id: ACCOUNT, name: "sallyport-export", location: "weur" },
    });
  });

  it("can be destroyed where the deployment file allows it", () => {
    const { resource } = edgeOf({ record: { location: "weur", retentionDays: 30, protect: false } });
    for (const [type, name] of [
      ["cloudflare_d1_database", "audit-database"],
      ["cloudflare_r2_bucket", "recordings-bucket"],
      ["cloudflare_r2_bucket_lock", "recordings-lock"],
    ] as const) {
      expect(resource[type]?.[name]?.["lifecycle"]).toEqual({ prevent_destroy: false });
    }
  });

  it("has no export bucket where the export is off", () => {
    const { resource, output } = edgeOf({ record: { location: "weur", retentionDays: 30, export: false } });
    expect(Object.keys(resource["cloudflare_r2_bucket"] ?? {})).toEqual(["recordings-bucket"]);
    expect(output).not.toHaveProperty("export_bucket");
  });

  const locks = (record: Partial<DeploymentInput["record"]> = {}) =>
    edgeOf({ record: { location: "weur", retentionDays: 30, ...record } }).resource["cloudflare_r2_bucket_lock"]?.[
      "recordings-lock"
    ];
  const rule = (id: string, prefix: string, days: number) => ({
    ...{ id, enabled: true, prefix },
    condition: { type: "Age", max_age_seconds: days * 24 * 60 * 60 },
  });

  it("locks recordings and seals, and nothing else, for the retention time", () => {
    expect(locks()).toMatchObject({ bucket_name: "${cloudflare_r2_bucket.recordings-bucket.name}" });
    expect(locks()?.["rules"]).toEqual([rule("keep-recordings", "recordings/", 30), rule("keep-seals", "seals/", 30)]);
  });

  it("locks seals for longer where the deployment file says so", () => {
    expect(locks({ sealRetentionDays: 3_650 })?.["rules"]).toEqual([
      rule("keep-recordings", "recordings/", 30),
      rule("keep-seals", "seals/", 3_650),
    ]);
  });

  it("aborts unfinished uploads after seven days, and deletes nothing", () => {
    expect(edgeOf().resource["cloudflare_r2_bucket_lifecycle"]?.["recordings-lifecycle"]?.["rules"]).toEqual([
      {
        id: "abort-unfinished-uploads",
        enabled: true,
        conditions: { prefix: "" },
        abort_multipart_uploads_transition: { condition: { type: "Age", max_age: 604_800 } },
      },
    ]);
  });

  it("deletes recordings after the time that the deployment file sets", () => {
    const edge = edgeOf({ record: { location: "weur", retentionDays: 30, deleteAfterDays: 31 } });
    expect(edge.resource["cloudflare_r2_bucket_lifecycle"]?.["recordings-lifecycle"]?.["rules"]).toContainEqual({
      id: "delete-old-recordings",
      enabled: true,
      conditions: { prefix: "recordings/" },
      delete_objects_transition: { condition: { type: "Age", max_age: 31 * 86_400 } },
    });
  });
});

describe("the path into a cluster", () => {
  it("is one service on the sidecar's loopback port, and no public host name", () => {
    const { resource } = edgeOf();
    expect(resource["cloudflare_zero_trust_tunnel_cloudflared"]).toEqual({
      "tunnel-prod": { account_id: ACCOUNT, name: "sallyport-prod", config_src: "cloudflare" },
    });
    expect(resource["cloudflare_connectivity_directory_service"]?.["vpc-service-prod"]).toEqual({
      account_id: ACCOUNT,
      name: "sallyport-prod",
      type: "http",
      http_port: 8001,
      host: {
        ipv4: "127.0.0.1",
        network: { tunnel_id: "${cloudflare_zero_trust_tunnel_cloudflared.tunnel-prod.id}" },
      },
    });
    expect(resource).not.toHaveProperty("cloudflare_zero_trust_tunnel_cloudflared_config");
    expect(resource).not.toHaveProperty("cloudflare_dns_record");
  });

  it.each(["auto", "tcp", undefined] as const)(
    "has another service for TCP on the same port with transport %s",
    (transport) => {
      const cluster = clusterInput("prod", transport === undefined ? {} : { transport });
      const { resource } = edgeOf({ clusters: [cluster] });
      const services = resource["cloudflare_connectivity_directory_service"] ?? {};
      expect(Object.keys(services)).toEqual(["vpc-service-prod", "vpc-tcp-service-prod"]);
      expect(services["vpc-tcp-service-prod"]).toEqual({
        account_id: ACCOUNT,
        name: "sallyport-prod-tcp",
        type: "tcp",
        tcp_port: 8001,
        host: services["vpc-service-prod"]?.["host"],
      });
    },
  );

  it("has none for TCP where sessions go by WebSocket", () => {
    const { resource, output } = edgeOf({ clusters: [clusterInput("prod", { transport: "websocket" })] });
    expect(Object.keys(resource["cloudflare_connectivity_directory_service"] ?? {})).toEqual(["vpc-service-prod"]);
    expect(output?.["vpc_tcp_service_ids"]?.value).toEqual({});
  });

  it("has no binding of a whole network, which would lead to every address behind the tunnel", () => {
    expect(JSON.stringify(edgeOf())).not.toMatch(/network_id|vpc_network/);
  });

  it("uses HTTP, because the service has no HTTPS port", () => {
    expect(buildUpstreamUrl({ pathname: "/version", search: "" })).toMatch(/^http:/);
  });

  it("is a tunnel for each cluster", () => {
    const edge = edgeOf({ clusters: [clusterInput("prod"), clusterInput("dev")] });
    expect(edge.output?.["vpc_service_ids"]?.value).toEqual({
      prod: "${cloudflare_connectivity_directory_service.vpc-service-prod.service_id}",
      dev: "${cloudflare_connectivity_directory_service.vpc-service-dev.service_id}",
    });
    const services = edge.resource["cloudflare_connectivity_directory_service"] ?? {};
    expect(services["vpc-service-dev"]).toMatchObject({
      host: { network: { tunnel_id: "${cloudflare_zero_trust_tunnel_cloudflared.tunnel-dev.id}" } },
    });
  });
});

describe("Access", () => {
  const oauthFor = (session_duration: string) => ({
    enabled: true,
    dynamic_client_registration: {
      ...{ enabled: true, allow_any_on_loopback: true, allow_any_on_localhost: false, allowed_uris: [] },
    },
    grant: { access_token_lifetime: "15m", session_duration },
  });
  const applications = (change: Change = {}) =>
    edgeOf(change).resource["cloudflare_zero_trust_access_application"] ?? {};
  const policies = (change: Change = {}) => edgeOf(change).resource["cloudflare_zero_trust_access_policy"] ?? {};

  it("is in front of the host names, and signs people in by OAuth", () => {
    expect(applications()["application"]).toEqual({
      account_id: ACCOUNT,
      type: "self_hosted",
      name: "sallyport",
      domain: "prod.k8s.example.com",
      destinations: [{ type: "public", uri: "prod.k8s.example.com" }],
      policies: [{ id: "${cloudflare_zero_trust_access_policy.user-people.id}", precedence: 1 }],
      session_duration: "8h",
      oauth_configuration: oauthFor("336h"),
      enable_binding_cookie: false,
      app_launcher_visible: false,
      http_only_cookie_attribute: true,
      same_site_cookie_attribute: "lax",
      options_preflight_bypass: false,
    });
  });

  it("accepts WARP sessions where the deployment file says so, and otherwise sends nothing about it", () => {
    // An account without a WARP session duration refuses even `false` (12130).
    const withWarp = applications({ access: { ...access, warp: true } });
    expect(withWarp["application"]?.["allow_authenticate_via_warp"]).toBe(true);
    expect(withWarp["admin-application"]).not.toHaveProperty("allow_authenticate_via_warp");
    for (const application of Object.values(applications())) {
      expect(application).not.toHaveProperty("allow_authenticate_via_warp");
    }
  });

  it("has the administrators' one in front of what needs a role alone: everybody asks and decides past it", () => {
    const urisOf = (name: string) =>
      ((applications()[name]?.["destinations"] ?? []) as { uri: string }[]).map(({ uri }) => uri.replace(/^[^/]*/, ""));
    expect(urisOf("application")).toEqual([""]);
    const [adminPath = ""] = urisOf("admin-application");
    const behind = (path: string) => path === adminPath || path.startsWith(`${adminPath}/`);
    const routes: readonly { readonly path: string; readonly access: string }[] = Object.values(ROUTES);
    for (const { path, access } of routes) {
      expect([path, behind(path)]).toEqual([path, access === "auditor" || access === "admin"]);
    }
    const needed = ["/-/access", "/-/access/{id}", "/-/approvals", "/-/approvals/{id}", "/-/grants/{id}"];
    expect(routes.map(({ path }) => path)).toEqual(expect.arrayContaining(needed));
    expect(needed.some(behind)).toBe(false);
  });

  it("signs people in by OAuth for as long as the deployment file says, or not at all", () => {
    const oauth = { accessTokenLifetime: "5m", sessionDuration: "168h", adminSessionDuration: "30m" };
    const made = applications({ access: { ...access, oauth } });
    expect(made["application"]?.["oauth_configuration"]).toMatchObject({
      grant: { access_token_lifetime: "5m", session_duration: "168h" },
    });
    expect(made["admin-application"]?.["oauth_configuration"]).toMatchObject({ grant: { session_duration: "30m" } });
    for (const application of Object.values(applications({ access: { ...access, oauth: { enabled: false } } }))) {
      expect(application).not.toHaveProperty("oauth_configuration");
    }
  });

  it("has its durations on policies, which outrank those of applications", () => {
    const all = policies({ access: { ...access, sessionDuration: "4h", adminSessionDuration: "15m" } });
    expect(Object.entries(all).map(([name, policy]) => [name, policy["session_duration"]])).toEqual([
      ["admin-people", "15m"],
      ["user-people", "4h"],
      ["user-services", "4h"],
    ]);
  });

  it("gives service tokens an application and a host name of their own, without a page to sign in", () => {
    expect(applications()["service-token-application"]).toMatchObject({
      domain: "prod-ci.k8s.example.com",
      destinations: [{ type: "public", uri: "prod-ci.k8s.example.com" }],
      policies: [{ id: "${cloudflare_zero_trust_access_policy.user-services.id}", precedence: 1 }],
      service_auth_401_redirect: true,
    });
    expect(applications()["service-token-application"]).not.toHaveProperty("oauth_configuration");
    const named = { clusters: [clusterInput("prod", { serviceTokenHostname: "robots.example.com" })] };
    expect(applications(named)["service-token-application"]).toMatchObject({ domain: "robots.example.com" });
  });

  it("lets service tokens in where people come in, where the deployment file says so", () => {
    const shared = applications({ access: { ...access, serviceTokenHosts: "shared" } });
    expect(shared).not.toHaveProperty("service-token-application");
    expect(shared["application"]?.["policies"]).toEqual([
      { id: "${cloudflare_zero_trust_access_policy.user-services.id}", precedence: 1 },
      { id: "${cloudflare_zero_trust_access_policy.user-people.id}", precedence: 2 },
    ]);
  });

  it("admits auditors to the admin API besides administrators, as strictly, and to nothing else", () => {
    const change = {
      access: {
        ...access,
        auditors: [{ email: "olga@example.com" }, { serviceToken: "ci" }],
        adminRequire: [{ country: "DE" }],
        adminSessionDuration: "15m",
      },
    };
    const made = applications(change);
    expect(made["admin-application"]?.["policies"]).toEqual([
      { id: "${cloudflare_zero_trust_access_policy.auditor-services.id}", precedence: 1 },
      { id: "${cloudflare_zero_trust_access_policy.admin-people.id}", precedence: 2 },
      { id: "${cloudflare_zero_trust_access_policy.auditor-people.id}", precedence: 3 },
    ]);
    for (const name of ["application", "service-token-application"]) {
      expect(JSON.stringify(made[name]?.["policies"])).not.toContain("auditor");
    }
    const require = [{ geo: { country_code: "DE" } }];
    expect(policies(change)["auditor-people"]).toMatchObject({
      ...{ name: "sallyport: auditors", decision: "allow", session_duration: "15m", require },
      include: [{ email: { email: "olga@example.com" } }],
    });
    expect(policies(change)["auditor-services"]).toMatchObject({
      ...{ name: "sallyport: auditor services", decision: "non_identity", session_duration: "15m", require },
    });
  });

  it("has no application for service tokens where none may come in", () => {
    const people = { ...access, allow: [{ emailDomain: "example.com" }] };
    expect(applications({ access: people })).not.toHaveProperty("service-token-application");
  });

  it.each(["own", "shared"] as const)("has the policies that the doctor looks for (%s)", (serviceTokenHosts) => {
    const both = [{ email: "eve@example.com" }, { serviceToken: "ci" }];
    const change = { access: { ...access, admins: both, auditors: both, serviceTokenHosts } };
    const { people, admins, serviceTokens } = applicationPolicies(deploymentOf(change));
    const all = policies(change);
    const made = Object.fromEntries(
      Object.entries(applications(change)).map(([name, application]) => [
        name,
        (application["policies"] as { id: string }[]).map(({ id }) => {
          const { name: policy, decision } = all[id.split(".")[1] ?? ""] ?? {};
          return { name: policy, decision };
        }),
      ]),
    );
    expect(made).toEqual({
      ...{ application: people, "admin-application": admins },
      ...(serviceTokenHosts === "own" && { "service-token-application": serviceTokens }),
    });
  });

  it("is stricter in front of the admin API: other people, a shorter session, a sign-in, a cookie of its own", () => {
    expect(applications()["admin-application"]).toMatchObject({
      domain: "prod.k8s.example.com/-/admin",
      destinations: [{ type: "public", uri: "prod.k8s.example.com/-/admin" }],
      policies: [{ id: "${cloudflare_zero_trust_access_policy.admin-people.id}", precedence: 1 }],
      session_duration: "1h",
      // Not longer than a sign-in in the browser.
      oauth_configuration: oauthFor("1h"),
      path_cookie_attribute: true,
      app_launcher_visible: false,
    });
    expect(policies()["admin-people"]).toMatchObject({
      decision: "allow",
      include: [{ email: { email: "alice@example.com" } }],
    });
  });

  it("has no bypass policy, and a non-identity policy for service tokens", () => {
    const all = policies();
    const decisions = Object.entries(all).map(([name, { decision }]) => [name, decision]);
    expect(Object.fromEntries(decisions)).toEqual({
      "user-services": "non_identity",
      "user-people": "allow",
      "admin-people": "allow",
    });
    expect(all["user-services"]).toMatchObject({
      include: [
        { service_token: { token_id: '${data.terraform_remote_state.secrets.outputs.service_token_ids["ci"]}' } },
      ],
    });
    expect(all["user-people"]).toMatchObject({ include: [{ email_domain: { domain: "example.com" } }] });
  });

  it.each([
    [
      { kind: "okta", identityProvider: PROVIDER_ID, name: "sre" },
      { okta: { identity_provider_id: PROVIDER_ID, name: "sre" } },
    ],
    [
      { kind: "entra", identityProvider: PROVIDER_ID, id: PROVIDER_ID },
      { azure_ad: { identity_provider_id: PROVIDER_ID, id: PROVIDER_ID } },
    ],
    [
      { kind: "google", identityProvider: PROVIDER_ID, email: "sre@example.com" },
      { gsuite: { identity_provider_id: PROVIDER_ID, email: "sre@example.com" } },
    ],
    [
      { kind: "github", identityProvider: PROVIDER_ID, organization: "example", team: "sre" },
      { github_organization: { identity_provider_id: PROVIDER_ID, name: "example", team: "sre" } },
    ],
    [
      { kind: "oidc", identityProvider: PROVIDER_ID, value: "sre" },
      { oidc: { identity_provider_id: PROVIDER_ID, claim_name: "groups", claim_value: "sre" } },
    ],
    [
      { kind: "saml", identityProvider: PROVIDER_ID, attribute: "memberOf", value: "sre" },
      { saml: { identity_provider_id: PROVIDER_ID, attribute_name: "memberOf", attribute_value: "sre" } },
    ],
  ] as const)("includes the group %j", (group, include) => {
    expect(policies({ access: { ...access, allow: [{ group }] } })["user-people"]).toMatchObject({
      include: [include],
    });
  });

  it("requires every condition of people, and of service tokens those that they can meet", () => {
    const require = [{ posture: PROVIDER_ID }, { country: "DE" }];
    const all = policies({ access: { ...access, require } });
    expect(all["user-people"]?.["require"]).toEqual([
      { device_posture: { integration_uid: PROVIDER_ID } },
      { geo: { country_code: "DE" } },
    ]);
    expect(all["user-services"]?.["require"]).toEqual([{ geo: { country_code: "DE" } }]);
    expect(all["admin-people"]).not.toHaveProperty("require");
  });

  it("has another application from the sixth host name on, and does not change the first", () => {
    const hostnames = Array.from({ length: 6 }, (_, index) => `c${index}.k8s.example.com`);
    const six = edgeOf({ clusters: [clusterInput("prod", { hostnames })] });
    const made = six.resource["cloudflare_zero_trust_access_application"] ?? {};
    expect(made["application"]?.["destinations"]).toHaveLength(5);
    expect(made["application-2"]).toMatchObject({ name: "sallyport-2", destinations: [{ uri: "c5.k8s.example.com" }] });
    expect(made["admin-application-2"]).toMatchObject({ destinations: [{ uri: "c5.k8s.example.com/-/admin" }] });
    expect(six.output?.["access_audiences"]?.value).toHaveLength(2);
    expect(six.output?.["admin_audiences"]?.value).toHaveLength(2);
    const five = applications({ clusters: [clusterInput("prod", { hostnames: hostnames.slice(0, 5) })] });
    expect(made["application"]).toEqual(five["application"]);
  });
});

describe("the stack of secrets", () => {
  const secretsOf = (change: Change = {}) => synthesize(deploymentOf(change))["secrets"];
  const token = (change: Change = {}) =>
    secretsOf(change)?.resource["cloudflare_zero_trust_access_service_token"]?.["service-token-ci"];

  it("has the service tokens, and outputs nothing secret", () => {
    expect(token()).toEqual({ account_id: ACCOUNT, name: "sallyport-ci" });
    const { output } = secretsOf() ?? {};
    expect(Object.keys(output ?? {})).toEqual(["deployment", "service_token_client_ids", "service_token_ids"]);
    // Another stack's state keeps every output that it could read, sensitive or not.
    expect(JSON.stringify(output)).not.toContain("client_secret");
  });

  it("replaces a secret by its version, with a time in which the one before is accepted", () => {
    const rotated = { name: "ci", secretVersion: 2, previousSecretUntil: "2026-12-01T12:00:00Z" };
    expect(token({ access: { ...access, serviceTokens: [rotated] } })).toEqual({
      account_id: ACCOUNT,
      name: "sallyport-ci",
      client_secret_version: 2,
      previous_client_secret_expires_at: "2026-12-01T12:00:00Z",
    });
  });

  it("takes them over from the edge stack, which destroys none of them", () => {
    const { edge, secrets } = synthesize(deploymentOf());
    const tokens = Object.keys(secrets?.resource["cloudflare_zero_trust_access_service_token"] ?? {});
    expect(edge?.removed).toEqual(
      tokens.map((name) => ({
        from: `cloudflare_zero_trust_access_service_token.${name}`,
        lifecycle: { destroy: false },
      })),
    );
    expect(tokens).toEqual(["service-token-ci"]);
  });

  it("does not exist without service tokens", () => {
    const without = { ...access, serviceTokens: [], allow: [{ emailDomain: "example.com" }] };
    const identities = [{ match: { email: "alice@example.com" }, groups: ["platform"] }];
    const stacks = synthesize(deploymentOf({ access: without, sallyport: { identities } }));
    expect(stacks).not.toHaveProperty("secrets");
    expect(stacks["edge"]).not.toHaveProperty("data");
    expect(stacks["edge"]).not.toHaveProperty("removed");
  });
});

describe("Terraform's state", () => {
  it("of two deployments in one place has different keys", () => {
    const keys = (["one", "two"] as const).map((name) =>
      JSON.stringify(
        synthesize(deploymentOf({ name, state: { kind: "r2", bucket: "terraform-state" } }))["edge"]?.terraform.backend,
      ),
    );
    expect(keys[0]).toContain('"sallyport/one/edge.tfstate"');
    expect(keys[1]).toContain('"sallyport/two/edge.tfstate"');
    const local = synthesize(deploymentOf({ name: "one" }))["edge"]?.terraform.backend;
    expect(local).toEqual({ local: { path: "../../../state/one/edge.tfstate" } });
  });

  it("is in files beside the deployment file, with paths relative to where Terraform runs", () => {
    const stacks = synthesize(deploymentOf());
    expect(stacks["edge"]?.terraform.backend).toEqual({ local: { path: "../../../state/sallyport/edge.tfstate" } });
    expect(stacks["cluster-prod"]?.data?.["terraform_remote_state"]?.["edge"]).toEqual({
      backend: "local",
      config: { path: "../../../state/sallyport/edge.tfstate" },
    });
  });

  it("is in R2, with locks, where the deployment file says so, and other stacks read it there", () => {
    const stacks = synthesize(deploymentOf({ state: { kind: "r2", bucket: "terraform-state" } }));
    const backend = stacks["edge"]?.terraform.backend["s3"];
    expect(backend).toMatchObject({
      bucket: "terraform-state",
      key: "sallyport/sallyport/edge.tfstate",
      use_lockfile: true,
      region: "auto",
      endpoints: { s3: `https://${ACCOUNT}.r2.cloudflarestorage.com` },
    });
    expect(stacks["cluster-prod"]?.data?.["terraform_remote_state"]?.["edge"]).toEqual({
      backend: "s3",
      config: backend,
    });
    expect(stacks["cluster-prod"]?.terraform.backend["s3"]).toMatchObject({
      key: "sallyport/sallyport/cluster-prod.tfstate",
    });
  });

  it("is in S3, encrypted, and no check is skipped then", () => {
    const { edge } = synthesize(
      deploymentOf({ state: { kind: "s3", bucket: "state", prefix: "a/b", region: "eu-west-1" } }),
    );
    expect(edge?.terraform.backend).toEqual({
      s3: {
        bucket: "state",
        key: "a/b/sallyport/edge.tfstate",
        region: "eu-west-1",
        use_lockfile: true,
        encrypt: true,
      },
    });
  });

  it("never puts credentials into the JSON", () => {
    const text = JSON.stringify(synthesize(deploymentOf({ state: { kind: "r2", bucket: "terraform-state" } })));
    expect(text).not.toMatch(/access_key|secret_key|api_token/);
  });
});
