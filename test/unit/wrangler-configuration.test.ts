import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { experimental_readRawConfig, unstable_readConfig } from "wrangler";
import { compatibilityDate } from "../../dev/workers/configuration.ts";
import { OUTPUT } from "../../terraform/config/outputs.ts";
import { readProjectConfiguration } from "../../tools/deploy/project-configuration.ts";
import {
  codeUpdateDelaySeconds,
  edgeConfiguration,
  objectsConfiguration,
} from "../../tools/deploy/wrangler-configuration.ts";
import { OperatorError } from "../../tools/deployment/operator-error.ts";
import { OUTPUT_NAMES, parseOutputs } from "../../tools/deployment/outputs.ts";
import { placeholders } from "../../tools/deployment/placeholders.ts";
import { loadConfig } from "../../worker/config/load.ts";
import { joinConfigVariables } from "../../worker/config/variables.ts";
import {
  ACCOUNT,
  CLUSTER,
  DATABASE_ID,
  HOSTNAME,
  outputsText,
  testPlan,
  VPC_SERVICE_ID,
  VPC_TCP_SERVICE_ID,
} from "../support/planned.ts";

const PROJECT = resolve(import.meta.dirname, "../..");
const project = readProjectConfiguration(PROJECT);
const generated = (plan = testPlan()) => edgeConfiguration(plan, project, "../..");
const generatedObjects = (plan = testPlan()) => objectsConfiguration(plan, project, "../..");
const folder = mkdtempSync(join(tmpdir(), "sallyport-wrangler-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const DATABASE = {
  binding: "AUDIT_DB",
  database_name: "sallyport-audit",
  database_id: DATABASE_ID,
  migrations_dir: "../../migrations",
};

/** Neither URLs nor headers of requests are kept. */
const WITHOUT_REQUESTS = {
  enabled: true,
  redact_query_string: true,
  logs: { enabled: true, invocation_logs: false },
  traces: { enabled: false },
};

describe("the generated wrangler configurations", () => {
  it("are complete, so that wrangler asks nothing: the edge's", () => {
    const { vars, ...rest } = generated();
    expect(rest).toEqual({
      name: "sallyport",
      main: "../../worker/index.ts",
      account_id: ACCOUNT,
      compatibility_date: project.edge.compatibility_date,
      compatibility_flags: ["no_web_socket_compression"],
      keep_names: project.edge.keep_names,
      limits: { subrequests: 100_000 },
      alias: { "@sallyport/console-files": "../../console/dist/files.js" },
      workers_dev: false,
      preview_urls: false,
      routes: [{ pattern: HOSTNAME, custom_domain: true }],
      durable_objects: {
        bindings: [
          { name: "USER_SESSIONS", class_name: "UserSessions", script_name: "sallyport-objects" },
          { name: "DIRECTORY", class_name: "Directory", script_name: "sallyport-objects" },
        ],
      },
      d1_databases: [DATABASE],
      r2_buckets: [{ binding: "RECORDINGS", bucket_name: "sallyport-recordings" }],
      vpc_services: [{ binding: "KUBE_API_PROD", service_id: VPC_SERVICE_ID }],
      version_metadata: { binding: "VERSION" },
      observability: WITHOUT_REQUESTS,
      triggers: { crons: ["*/5 * * * *", "* * * * *"] },
    });
    expect(loadConfig(joinConfigVariables(vars)).clusters[0]?.binding).toBe("KUBE_API_PROD");
  });

  it("are complete, so that wrangler asks nothing: the objects'", () => {
    expect(generatedObjects()).toEqual({
      name: "sallyport-objects",
      main: "../../durable/index.ts",
      account_id: ACCOUNT,
      compatibility_date: project.objects.compatibility_date,
      compatibility_flags: ["no_web_socket_compression"],
      keep_names: project.objects.keep_names,
      limits: { subrequests: 100_000 },
      workers_dev: false,
      preview_urls: false,
      migrations: [
        { tag: "v1", new_sqlite_classes: ["UserSessions"] },
        { tag: "v2", new_sqlite_classes: ["Directory"] },
      ],
      // The longest session's eight hours, and a minute.
      durable_objects: {
        bindings: [
          { name: "USER_SESSIONS", class_name: "UserSessions" },
          { name: "DIRECTORY", class_name: "Directory" },
        ],
        code_update_strategy: { mode: "deferred", max_delay: 28_860 },
      },
      d1_databases: [DATABASE],
      r2_buckets: [{ binding: "RECORDINGS", bucket_name: "sallyport-recordings" }],
      vpc_services: [
        { binding: "KUBE_API_PROD", service_id: VPC_SERVICE_ID },
        { binding: "KUBE_TCP_PROD", service_id: VPC_TCP_SERVICE_ID },
      ],
      version_metadata: { binding: "VERSION" },
      observability: WITHOUT_REQUESTS,
    });
  });

  it("bind no TCP service where there is none, and sessions go by WebSocket", () => {
    const plan = testPlan({}, { vpc_tcp_service_ids: undefined });
    expect(generatedObjects(plan).vpc_services).toEqual([{ binding: "KUBE_API_PROD", service_id: VPC_SERVICE_ID }]);
    const [cluster] = loadConfig(joinConfigVariables(generated(plan).vars)).clusters;
    expect(cluster?.upstream).toMatchObject({ transport: "auto", tcpBinding: null });
  });

  it.each([
    ["edge", generated],
    ["objects", generatedObjects],
  ])("are read by wrangler without a warning, and have every binding that the Workers need: %s", (name, generate) => {
    const file = join(folder, `${name}.json`);
    writeFileSync(file, JSON.stringify(generate()));
    const warnings: string[] = [];
    const { warn } = console;
    console.warn = (...args: unknown[]) => void warnings.push(args.join(" "));
    const read = unstable_readConfig({ config: file });
    console.warn = warn;
    expect(warnings).toEqual([]);
    expect(read.workers_dev).toBe(false);
    expect(read.preview_urls).toBe(false);
    const bound = read.vpc_services.map(({ binding }: { binding: string }) => binding);
    const { clusters } = loadConfig(joinConfigVariables(generated().vars));
    const tcp = name === "objects" ? clusters.map(({ upstream }) => upstream.tcpBinding) : [];
    expect([...clusters.map(({ binding }) => binding), ...tcp]).toEqual(bound);
  });

  it.each([
    ["wrangler.jsonc", generated],
    ["durable/wrangler.jsonc", generatedObjects],
  ])("have everything that %s says for all deployments", (file, generate) => {
    const { rawConfig } = experimental_readRawConfig({ config: join(PROJECT, file) });
    const { $schema: _, env: __, name: ___, alias: ____, main, ...facts } = rawConfig as Record<string, unknown>;
    expect(generate()).toMatchObject(facts);
    expect(generate().main).toBe(`../../${join(dirname(file), String(main))}`);
  });

  it("have the same compatibility date and flags, also in the benchmark's Workers", () => {
    const bench = ["untouched", "one-row", "relay-only"].map((name) => `bench/${name}/wrangler.jsonc`);
    const files = ["wrangler.jsonc", "durable/wrangler.jsonc", ...bench];
    for (const file of files) {
      const { rawConfig } = experimental_readRawConfig({ config: join(PROJECT, file) });
      expect(rawConfig.compatibility_date, file).toBe(compatibilityDate());
      expect(rawConfig.compatibility_flags, file).toEqual(["no_web_socket_compression"]);
    }
  });

  it("let objects keep their code for the longest session that any rule allows, within Cloudflare's maximum", () => {
    const delayWith = (sallyport: object) => {
      const identities = [{ match: { email: "alice@acme.test" }, groups: ["developers"] }];
      return codeUpdateDelaySeconds(testPlan({ sallyport: { identities, ...sallyport } }));
    };
    const rule = { name: "long", match: { kinds: ["exec"] }, action: "allow", limits: { maxDurationSeconds: 50_000 } };
    expect(delayWith({ limits: { maxDurationSeconds: 3_600 } })).toBe(3_660);
    expect(delayWith({ limits: { maxDurationSeconds: 3_600 }, rules: [rule] })).toBe(50_060);
    expect(delayWith({ limits: { maxDurationSeconds: 86_400 } })).toBe(86_400);
    const [identity] = [{ match: { email: "a@acme.test" }, groups: ["g"], limits: { maxDurationSeconds: 60_000 } }];
    expect(delayWith({ identities: [identity] })).toBe(60_060);
  });

  it("binds the export's bucket and its schedule if there is one", () => {
    const { r2_buckets, triggers } = generated(testPlan({}, { export_bucket: "sallyport-export" }));
    expect(r2_buckets).toContainEqual({ binding: "EXPORT", bucket_name: "sallyport-export" });
    expect(project.crons.length).toBeGreaterThan(0);
    // The last one ends access that was removed from the document.
    expect(triggers.crons).toEqual([...project.crons, "* * * * *"]);
  });

  it("holds no token of a tunnel or of a service", () => {
    expect(JSON.stringify([generated(), generatedObjects()])).not.toMatch(/a-tunnel-token|secret/i);
  });
});

describe("the list of values that are not filled in", () => {
  it("is empty for a real deployment", () => {
    expect(placeholders(testPlan())).toEqual([]);
  });

  it.each([
    ["database", {}, { audit_database_id: "00000000-0000-0000-0000-000000000000" }, /^audit_database_id/],
    ["VPC service", {}, { vpc_service_ids: { prod: "replace-me" } }, /^vpc_service_ids\.prod/],
    ["TCP service", {}, { vpc_tcp_service_ids: { prod: "replace-me" } }, /^vpc_tcp_service_ids\.prod/],
    ["tunnel", {}, { tunnel_ids: { prod: "" } }, /^tunnel_ids\.prod/],
    ["audience", {}, { access_audience: "replace-with-the-application-audience-tag" }, /^access_audience/],
    ["admin audience that is the other's", {}, { admin_audience: testPlan().access.audiences[0] }, /admin API needs/],
  ])("names the place: %s", (_what, deployment, outputs, message) => {
    expect(placeholders(testPlan(deployment, outputs))).toEqual([expect.stringMatching(message)]);
  });

  it("names the example's own account, host names and team", () => {
    const plan = testPlan();
    const [cluster] = plan.clusters;
    const example = {
      ...plan,
      account: "0123456789abcdef0123456789abcdef",
      access: { ...plan.access, teamDomain: "https://example.cloudflareaccess.com" },
      clusters: cluster ? [{ ...cluster, hostnames: ["prod.k8s.example.com"] }] : [],
    };
    expect(placeholders(example).map((line) => line.split(" ")[0])).toEqual([
      "account",
      "access.teamDomain",
      "prod.k8s.example.com",
    ]);
  });
});

describe("Terraform's outputs", () => {
  it("that are read are outputs of the edge stack", () => {
    const names: readonly string[] = Object.values(OUTPUT);
    expect(OUTPUT_NAMES.filter((name) => !names.includes(name))).toEqual([]);
  });

  it("that are incomplete are refused with the missing names, and never with a value", () => {
    const text = outputsText({ tunnel_ids: undefined, audit_database_id: 7 });
    const read = () => parseOutputs(text, "outputs.json");
    expect(read).toThrow(OperatorError);
    expect(read).toThrow(
      'outputs.json lacks audit_database_id, tunnel_ids: run "npx sallyport synth" and apply the edge stack',
    );
    expect(read).not.toThrow(/a-tunnel-token/);
  });

  it("of a stack that is not applied yet, or that are not outputs at all, are refused with a message", () => {
    expect(() => parseOutputs("{}", "o")).toThrow("o has no outputs yet: apply the edge stack first");
    expect(() => parseOutputs("no JSON", "o")).toThrow(/is not the JSON that/);
    expect(() => parseOutputs('{"account_id": "bare"}', "o")).toThrow(/is not the JSON that/);
  });

  it("of another deployment, account, team or set of clusters than the deployment file's are refused", () => {
    expect(() => testPlan({}, { deployment: "staging" })).toThrow(
      "the outputs are of the deployment staging, the deployment file is that of sallyport: check --outputs and --config",
    );
    expect(() => testPlan({}, { account_id: "f".repeat(32) })).toThrow(/another account/);
    expect(() => testPlan({}, { team_domain: "https://other.cloudflareaccess.com" })).toThrow(/another team domain/);
    expect(() => testPlan({}, { vpc_service_ids: {} })).toThrow("the output vpc_service_ids lacks prod");
    expect(() => testPlan({ clusters: [{ ...CLUSTER, transport: "tcp" }] }, { vpc_tcp_service_ids: {} })).toThrow(
      "the cluster prod has the transport tcp, but no VPC service for it: apply the edge stack",
    );
    expect(() => testPlan({}, { service_token_client_ids: {} })).toThrow("the service token ci has no client id");
  });
});
