/** Where a stack keeps its state, and how another one reads its outputs: so that nothing is copied by hand. */
import { LocalBackend, S3Backend, type TerraformStack } from "cdktf";
import type { State } from "../config/state.ts";

/** What backends are made from. */
export interface StateOptions {
  readonly state: State;
  readonly account: string;
  /** From a stack's folder to the folder of local state files. */
  readonly localDirectory: string;
}

/** Gives a stack its backend, and says which Terraform it needs. */
export function keepState(stack: TerraformStack, options: StateOptions): void {
  const { type, config } = backendOf(stack.node.id, options);
  if (type === "local") {
    new LocalBackend(stack, { path: config.path });
  } else {
    const { bucket, key, region } = config;
    const backend = new S3Backend(stack, { bucket, key, region });
    for (const [name, value] of Object.entries(config)) backend.addOverride(name, value);
  }
  // Locks in the bucket itself, without a database beside it.
  stack.addOverride("terraform.required_version", ">= 1.10");
}

/**
 * Reads another stack's outputs where its state is.
 *
 * @returns an expression for one of its outputs, for use between braces
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

function backendOf(stack: string, { state, account, localDirectory }: StateOptions): Backend {
  if (state.kind === "local") return { type: "local", config: { path: `${localDirectory}/${stack}.tfstate` } };
  const { bucket, prefix } = state;
  const common = { bucket, key: `${prefix}/${stack}.tfstate`, use_lockfile: true };
  if (state.kind === "r2") {
    return {
      type: "s3",
      config: {
        ...common,
        region: "auto",
        endpoints: { s3: `https://${account}.r2.cloudflarestorage.com` },
        // R2 is no AWS: it has no regions, no metadata service, no account ids, and other checksums.
        ...elsewhere,
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
      ...(endpoint !== undefined && { endpoints: { s3: endpoint }, ...elsewhere }),
      ...(kmsKeyId !== undefined && { kms_key_id: kmsKeyId }),
    },
  };
}

const elsewhere = {
  skip_credentials_validation: true,
  skip_metadata_api_check: true,
  skip_region_validation: true,
  skip_requesting_account_id: true,
  skip_s3_checksum: true,
  use_path_style: true,
} as const;
