/** Today's Kubernetes API as @kubernetes/client-node has it from the API server's own description (see its models). */
import * as client from "@kubernetes/client-node";

interface Model {
  getAttributeTypeMap(): readonly { readonly baseName: string; readonly type: string }[];
}

/**
 * Finds fields that Kubernetes does not know: misspelt, or at the wrong place. Servers that do not know a field drop it
 * silently, or refuse the object.
 *
 * @param type a model's name, such as V1Deployment
 * @returns their paths
 */
export function unknownFields(value: unknown, type: string, path = ""): string[] {
  const items = /^Array<(.+)>$/.exec(type)?.[1];
  if (items !== undefined) {
    if (!Array.isArray(value)) return [`${path} is no list`];
    return value.flatMap((item, index) => unknownFields(item, items, `${path}[${index}]`));
  }
  const model = (client as unknown as Readonly<Record<string, Partial<Model> | undefined>>)[type];
  // Texts, numbers, maps of texts, and what may be either of two.
  if (model?.getAttributeTypeMap === undefined) return [];
  if (typeof value !== "object" || value === null) return [`${path} is no object`];
  const types = new Map(model.getAttributeTypeMap().map((attribute) => [attribute.baseName, attribute.type]));
  return Object.entries(value).flatMap(([key, inner]) => {
    const known = types.get(key);
    return known === undefined ? [`${path}.${key}`] : unknownFields(inner, known, `${path}.${key}`);
  });
}
