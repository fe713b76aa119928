/** Providers without a binding: where they are from, and which versions will do. */

export const KUBERNETES = { source: "hashicorp/kubernetes", version: ">= 3.0, < 4" } as const;
export const DIGITALOCEAN = { source: "digitalocean/digitalocean", version: ">= 2.60, < 3" } as const;
