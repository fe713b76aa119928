/** Where a stack keeps its state, and how another stack reads its outputs from there. */
import { LocalBackend, S3Backend, TerraformOutput, type TerraformStack } from "cdktf";
import type { State } from "../config/state.ts";

export interface StateOptions {
  readonly state: State;
  /** The deployment's name, in every key: two deployments may share a bucket. */
  readonly deployment: string;
  readonly account: string;
  /** The folder of the deployment's local state files, relative to a stack's folder. */
  readonly localDirectory: string;
}

/** Gives a stack its backend, and requires a Terraform version that supports it. */
export function setBackend(stack: TerraformStack, options: StateOptions): void {
  const { type, config } = backendOf(stack.node.id, options);
  if (type === "local") {
    new LocalBackend(stack, { path: config.path });
  } else {
    const { bucket, key, region } = config;
    const backend = new S3Backend(stack, { bucket, key, region });
    for (const [name, value] of Object.entries(config)) backend.addOverride(name, value);
  }
  // The first that locks in the bucket itself, without a database.
  stack.addOverride("terraform.required_version", ">= 1.10");
}

/** Gives a stack an output of exactly this name, by which `outputsOf` and the tools find it. */
export function addOutput(stack: TerraformStack, name: string, value: unknown): void {
  new TerraformOutput(stack, name, { value }).overrideLogicalId(name);
}

/**
 * Reads another stack's outputs from its state.
 *
 * @returns makes an expression for one of its outputs, to be used in `${…}`
 */
export function outputsOf(stack: TerraformStack, other: string, options: StateOptions): (output: string) => string {
  const { type, config } = backendOf(other, options);
  stack.addOverride(`data.terraform_remote_state.${other}`, { backend: type, config });
  return (output) => `data.terraform_remote_state.${other}.outputs.${output}`;
}

type S3Config = Readonly<Record<string, unknown>> & {
  readonly bucket: string;
  readonly key: string;
  readonly region: string;
};
type Backend =
  | { readonly type: "local"; readonly config: { readonly path: string } }
  | { readonly type: "s3"; readonly config: S3Config };

function backendOf(stack: string, { state, deployment, account, localDirectory }: StateOptions): Backend {
  if (state.kind === "local") return { type: "local", config: { path: `${localDirectory}/${stack}.tfstate` } };
  const { bucket, prefix } = state;
  const common = { bucket, key: `${prefix}/${deployment}/${stack}.tfstate`, use_lockfile: true };
  if (state.kind === "r2") {
    return {
      type: "s3",
      config: {
        ...common,
        region: "auto",
        endpoints: { s3: `https://${account}.r2.cloudflarestorage.com` },
        ...NOT_AWS,
      },
    };
  }
  const { region, endpoint, kmsKeyId } = state;
  return {
    type: "s3",
    config: {
      ...common,
      region,
      encrypt: true,
      ...(endpoint !== undefined && { endpoints: { s3: endpoint }, ...NOT_AWS }),
      ...(kmsKeyId !== undefined && { kms_key_id: kmsKeyId }),
    },
  };
}

/** Other stores have no AWS regions, metadata service or account ids, and other checksums. */
const NOT_AWS = {
  skip_credentials_validation: true,
  skip_metadata_api_check: true,
  skip_region_validation: true,
  skip_requesting_account_id: true,
  skip_s3_checksum: true,
  use_path_style: true,
} as const;
