/**
 * The stack of what has a secret: service tokens. Its outputs have none, because Terraform copies all outputs
 * of a stack into the state of each stack that reads them. The secrets are only in this stack's own state.
 */
import { ZeroTrustAccessServiceToken } from "@cdktf/provider-cloudflare/lib/zero-trust-access-service-token/index.js";
import { TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import { OUTPUT, SECRETS_OUTPUT } from "../config/outputs.ts";
import type { Deployment } from "../config/schema.ts";
import { SECRETS_STACK } from "../config/stack-names.ts";
import { addOutput, type StateOptions, setBackend } from "./backend.ts";
import { cloudflareProvider } from "./providers.ts";

export class SecretsStack extends TerraformStack {
  constructor(scope: Construct, { name, account: accountId, access }: Deployment, state: StateOptions) {
    super(scope, SECRETS_STACK);
    setBackend(this, state);
    cloudflareProvider(this);
    const tokens = access.serviceTokens.map(({ name: token, secretVersion, previousSecretUntil }) => ({
      token,
      // Valid for a year, Access's default. The API refuses to replace one that is in use (12139), so a
      // secret is replaced by its version: the id stays, and the secret before is accepted for a while.
      resource: new ZeroTrustAccessServiceToken(this, `service-token-${token}`, {
        accountId,
        name: `${name}-${token}`,
        ...(secretVersion !== undefined && { clientSecretVersion: secretVersion }),
        ...(previousSecretUntil !== undefined && { previousClientSecretExpiresAt: previousSecretUntil }),
      }),
    }));
    const byToken = (pick: (resource: ZeroTrustAccessServiceToken) => string) =>
      Object.fromEntries(tokens.map(({ token, resource }) => [token, pick(resource)]));
    addOutput(this, OUTPUT.deployment, name);
    addOutput(
      this,
      SECRETS_OUTPUT.ids,
      byToken(({ id }) => id),
    );
    addOutput(
      this,
      SECRETS_OUTPUT.clientIds,
      byToken(({ clientId }) => clientId),
    );
  }
}
