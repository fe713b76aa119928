/**
 * The Kubernetes API's schema, from the models of @kubernetes/client-node, which are generated from the API
 * server's own.
 */
import * as client from "@kubernetes/client-node";

interface Model {
  getAttributeTypeMap(): readonly { readonly baseName: string; readonly type: string }[];
}

/**
 * Finds fields that Kubernetes does not know, because they are misspelled or at the wrong place. Servers drop
 * unknown fields silently, or refuse the object.
 *
 * @param type a model's name, such as V1Deployment
 * @returns their paths
 */
export function unknownFields(value: unknown, type: string, path = ""): string[] {
  const items = /^Array<(.+)>$/.exec(type)?.[1];
  if (items !== undefined) {
    if (!Array.isArray(value)) return [`${path} is not a list`];
    return value.flatMap((item, index) => unknownFields(item, items, `${path}[${index}]`));
  }
  const model = (client as unknown as Readonly<Record<string, Partial<Model> | undefined>>)[type];
  // Strings, numbers, maps of strings, and unions have no model.
  if (model?.getAttributeTypeMap === undefined) return [];
  if (typeof value !== "object" || value === null) return [`${path} is not an object`];
  const types = new Map(model.getAttributeTypeMap().map((attribute) => [attribute.baseName, attribute.type]));
  return Object.entries(value).flatMap(([key, inner]) => {
    const known = types.get(key);
    return known === undefined ? [`${path}.${key}`] : unknownFields(inner, known, `${path}.${key}`);
  });
}
