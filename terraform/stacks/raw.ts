/**
 * Resources of providers for which there is no binding here.
 *
 * `@cdktf/provider-kubernetes` and `@cdktf/provider-digitalocean` were archived with cdktf, weigh 100 MB and more, and would add
 * nothing: the objects in the cluster are a list of their own (terraform/manifests), which `kubernetes_manifest` takes as it
 * is, and of DigitalOcean there are two resources, off by default.
 */

import { type ITerraformDependable, TerraformDataSource, TerraformProvider, TerraformResource } from "cdktf";
import type { Construct } from "constructs";

export interface RawProviderOptions {
  readonly source: string;
  readonly version: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** A provider whose configuration is written as Terraform's JSON has it. */
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

/** A resource whose attributes are written as Terraform's JSON has them. The provider is what comes before the first `_`. */
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

/** The same for a data source. */
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
