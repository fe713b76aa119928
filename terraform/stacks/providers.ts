/** Providers without a binding: their sources and accepted versions. */

export const KUBERNETES = { source: "hashicorp/kubernetes", version: ">= 3.0, < 4" } as const;
export const DIGITALOCEAN = { source: "digitalocean/digitalocean", version: ">= 2.60, < 3" } as const;
