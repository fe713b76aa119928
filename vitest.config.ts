import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { exportJWK, generateKeyPair } from "jose";
import { defineConfig } from "vitest/config";

/** Access as the tests see it: a key set of this run's own, from which they sign real tokens. */
const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
const publicJwk = { ...(await exportJWK(publicKey)), kid: "test-key", alg: "RS256", use: "sig" };
const privateJwk = { ...(await exportJWK(privateKey)), kid: "test-key", alg: "RS256" };

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"] } },
      {
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: "./wrangler.jsonc", environment: "local" },
            miniflare: {
              bindings: {
                TEST_MIGRATIONS: await readD1Migrations("migrations"),
                TEST_SIGNING_KEY: privateJwk,
                SALLYPORT_CONFIG: {
                  access: {
                    teamDomain: "https://team.cloudflareaccess.com",
                    audiences: ["test-audience", "second-audience"],
                  },
                  cluster: "test-cluster",
                  identities: [
                    { match: { email: "admin@example.com" }, groups: ["developers"], roles: ["admin"] },
                    { match: { claim: "custom.groups", value: "developers" }, groups: ["developers", "oncall"] },
                    { match: { emailDomain: "viewers.example.com" }, groups: ["viewers"] },
                  ],
                  limits: { maxSessionsPerUser: 3, idleTimeoutSeconds: 600, maxDurationSeconds: 3600 },
                },
              },
              serviceBindings: { KUBE_API: "cluster" },
              outboundService: "access",
              workers: [
                {
                  name: "cluster",
                  modules: ["cluster", "puppet", "scripts"].map((name) => ({
                    type: "ESModule" as const,
                    path: `test/workerd/fakes/${name}.js`,
                  })),
                  compatibilityDate: "2026-11-17",
                  durableObjects: { PUPPETS: "Puppet" },
                },
                {
                  name: "access",
                  modules: true,
                  scriptPath: "test/workerd/fakes/access.js",
                  compatibilityDate: "2026-11-17",
                  bindings: { KEY_SET: { keys: [publicJwk] } },
                },
              ],
            },
          })),
        ],
        test: {
          name: "workerd",
          testTimeout: 20_000,
          // More than the cores: these tests mostly wait, for limits and for clocks.
          maxWorkers: 4,
          include: ["test/workerd/**/*.test.ts"],
          setupFiles: ["test/workerd/setup.ts"],
          globalSetup: ["test/support/raw-headers-server.ts"],
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Real processes on a busy machine: a condition that comes late is not one that does not come.
          expect: { poll: { timeout: 20_000 } },
          // Each file starts workerd and real clients of its own; two cores carry one at a time.
          fileParallelism: false,
        },
      },
    ],
  },
});
