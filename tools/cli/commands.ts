import type { CommandEntry } from "./command.ts";

/** Every command, in the order of help. Each has an npm script as an alias. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "init",
    summary: "Writes a first deployment file, from what Cloudflare and the cluster say",
    load: async () => (await import("./commands/init.ts")).init,
  },
  {
    name: "synth",
    summary: "Writes the Terraform configuration of a deployment file",
    load: async () => (await import("./commands/synth.ts")).synth,
  },
  {
    name: "apply",
    summary: "Applies a deployment's Terraform stacks, one after the other",
    load: async () => (await import("./commands/apply.ts")).apply,
  },
  {
    name: "manifests",
    summary: "Prints the Kubernetes objects of a cluster's connector, for GitOps",
    load: async () => (await import("./commands/manifests.ts")).manifests,
  },
  {
    name: "secret",
    summary: "Prints a service token or a tunnel's token",
    load: async () => (await import("./commands/secret.ts")).secret,
  },
  {
    name: "deploy",
    summary: "Applies D1 migrations, deploys the Workers, and checks that they answer",
    load: async () => (await import("./commands/deploy.ts")).deploy,
  },
  {
    name: "drain",
    summary: "Refuses new sessions everywhere for a while, or lets them open again",
    load: async () => (await import("./commands/drain.ts")).drain,
  },
  {
    name: "doctor",
    summary: "Checks a deployment from outside, through Cloudflare's API and in its clusters, and changes nothing",
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },
  {
    name: "break-glass",
    summary: "Gives a person access to a cluster while Cloudflare or Sallyport is down",
    load: async () => (await import("./commands/break-glass.ts")).breakGlass,
  },
  {
    name: "audit-verify",
    summary: "Verifies the hash chain of the audit log",
    load: async () => (await import("./commands/audit-verify.ts")).auditVerify,
  },
  {
    name: "audit-restore",
    summary: "Writes the whole audit log, with the rows that have left D1, to a SQLite file",
    load: async () => (await import("./commands/audit-restore.ts")).auditRestore,
  },
  {
    name: "policy-explain",
    summary: "Explains what would happen to a request, and by which rules, without sending it",
    load: async () => (await import("./commands/policy-explain.ts")).policyExplain,
  },
  {
    name: "sizing",
    summary: "Estimates what a deployment of a size costs, and which limit it reaches first",
    load: async () => (await import("./commands/sizing.ts")).sizing,
  },
  {
    name: "plugin",
    summary: "Builds kubectl-sallyport, with which people sign in without WARP",
    load: async () => (await import("./commands/plugin.ts")).plugin,
  },
  {
    name: "config-reference",
    summary: "Prints every field of the configuration",
    load: async () => (await import("./commands/config-reference.ts")).configReference,
  },
  {
    name: "docs-generate",
    summary: "Writes the generated parts of the documentation",
    load: async () => (await import("./commands/docs-generate.ts")).docsGenerate,
  },
];
