/** Providers: their sources and accepted versions. */
import { CloudflareProvider } from "@cdktf/provider-cloudflare/lib/provider/index.js";
import type { TerraformStack } from "cdktf";

/**
 * The binding was made from 5.14. 5.19 fixed TLS settings of VPC services and much of Access, and has Managed
 * OAuth.
 */
const CLOUDFLARE_VERSION = ">= 5.19, < 6";

/** Cloudflare's provider. It reads its token from CLOUDFLARE_API_TOKEN: no file contains a secret. */
export function cloudflareProvider(stack: TerraformStack): void {
  new CloudflareProvider(stack, "cloudflare", {});
  stack.addOverride("terraform.required_providers.cloudflare.version", CLOUDFLARE_VERSION);
}

export const KUBERNETES = { source: "hashicorp/kubernetes", version: ">= 3.0, < 4" } as const;
export const DIGITALOCEAN = { source: "digitalocean/digitalocean", version: ">= 2.60, < 3" } as const;
