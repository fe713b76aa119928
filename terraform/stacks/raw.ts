/**
 * Resources of providers without a binding.
 *
 * `@cdktf/provider-kubernetes` and `@cdktf/provider-digitalocean` were archived with cdktf and have more than
 * 100 MB each. They would add nothing: `kubernetes_manifest` takes the objects of terraform/manifests
 * unchanged, and of DigitalOcean there are two resources, off by default.
 */
import { type ITerraformDependable, TerraformDataSource, TerraformProvider, TerraformResource } from "cdktf";
import type { Construct } from "constructs";

export interface RawProviderOptions {
  readonly source: string;
  readonly version: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** A provider, configured as in Terraform's JSON. */
export class RawProvider extends TerraformProvider {
  constructor(scope: Construct, name: string, { source, version, config }: RawProviderOptions) {
    super(scope, name, {
      terraformResourceType: name,
      terraformProviderSource: source,
      terraformGeneratorMetadata: { providerName: name, providerVersion: version },
    });
    for (const [key, value] of Object.entries(config)) this.addOverride(key, value);
  }
}

/**
 * A resource, with attributes as in Terraform's JSON. The provider's name is the type up to its first `_`.
 */
export function rawResource(
  scope: Construct,
  type: string,
  id: string,
  attributes: Readonly<Record<string, unknown>>,
  dependsOn: readonly ITerraformDependable[] = [],
): TerraformResource {
  const resource = new TerraformResource(scope, id, {
    terraformResourceType: type,
    terraformGeneratorMetadata: { providerName: providerOf(type) },
    ...(dependsOn.length > 0 && { dependsOn: [...dependsOn] }),
  });
  for (const [key, value] of Object.entries(attributes)) resource.addOverride(key, value);
  return resource;
}

/** A data source. See {@link rawResource}. */
export function rawData(
  scope: Construct,
  type: string,
  id: string,
  attributes: Readonly<Record<string, unknown>>,
): TerraformDataSource {
  const data = new TerraformDataSource(scope, id, {
    terraformResourceType: type,
    terraformGeneratorMetadata: { providerName: providerOf(type) },
  });
  for (const [key, value] of Object.entries(attributes)) data.addOverride(key, value);
  return data;
}

function providerOf(type: string): string {
  return type.split("_")[0] ?? type;
}
