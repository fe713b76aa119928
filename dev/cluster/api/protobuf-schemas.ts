import type { Field, FieldType, MessageSchema } from "./protobuf.ts";

/**
 * Field numbers of the kinds that kubectl creates, from the generated.proto files of k8s.io/api and
 * apimachinery. Reduced to the fields that this cluster uses or that users may expect to see again.
 */
const text = (name: string): Field => ({ name, type: "string" });
const texts = (name: string): Field => ({ name, type: "string", repeated: true });
const int = (name: string): Field => ({ name, type: "int" });
const flag = (name: string): Field => ({ name, type: "bool" });
const map = (name: string, mapOf: "string" | "bytes" = "string"): Field => ({ name, type: { mapOf } });
const message = (name: string, schema: MessageSchema): Field => ({ name, type: { message: schema } });
const messages = (name: string, schema: MessageSchema): Field => ({ name, type: { message: schema }, repeated: true });
const of = (name: string, type: FieldType): Field => ({ name, type });

const objectMeta: MessageSchema = {
  1: text("name"),
  2: text("generateName"),
  3: text("namespace"),
  11: map("labels"),
  12: map("annotations"),
  14: texts("finalizers"),
};
const metadata = message("metadata", objectMeta);

const container: MessageSchema = {
  1: text("name"),
  2: text("image"),
  3: texts("command"),
  4: texts("args"),
  6: messages("ports", { 1: text("name"), 3: int("containerPort"), 4: text("protocol") }),
  7: messages("env", { 1: text("name"), 2: text("value") }),
  14: text("imagePullPolicy"),
  16: flag("stdin"),
  17: flag("stdinOnce"),
  18: flag("tty"),
};
const podSpec: MessageSchema = {
  2: messages("containers", container),
  3: text("restartPolicy"),
  4: int("terminationGracePeriodSeconds"),
  8: text("serviceAccountName"),
};
const servicePort: MessageSchema = {
  1: text("name"),
  2: text("protocol"),
  3: int("port"),
  4: of("targetPort", "intOrString"),
  5: int("nodePort"),
};
const rules = messages("rules", {
  1: texts("verbs"),
  2: texts("apiGroups"),
  3: texts("resources"),
  4: texts("resourceNames"),
  5: texts("nonResourceURLs"),
});
const binding: MessageSchema = {
  1: metadata,
  2: messages("subjects", { 1: text("kind"), 2: text("apiGroup"), 3: text("name"), 4: text("namespace") }),
  3: message("roleRef", { 1: text("apiGroup"), 2: text("kind"), 3: text("name") }),
};
const resourceAttributes = ["namespace", "verb", "group", "version", "resource", "subresource", "name"];

const SCHEMAS: Readonly<Record<string, MessageSchema>> = {
  ConfigMap: { 1: metadata, 2: map("data"), 3: map("binaryData", "bytes"), 4: flag("immutable") },
  Secret: { 1: metadata, 2: map("data", "bytes"), 3: text("type"), 4: map("stringData"), 5: flag("immutable") },
  Namespace: { 1: metadata },
  ServiceAccount: { 1: metadata },
  Pod: { 1: metadata, 2: message("spec", podSpec) },
  Service: {
    1: metadata,
    2: message("spec", {
      1: messages("ports", servicePort),
      2: map("selector"),
      3: text("clusterIP"),
      4: text("type"),
    }),
  },
  Deployment: {
    1: metadata,
    2: message("spec", {
      1: int("replicas"),
      2: message("selector", { 1: map("matchLabels") }),
      3: message("template", { 1: metadata, 2: message("spec", podSpec) }),
    }),
  },
  Role: { 1: metadata, 2: rules },
  ClusterRole: { 1: metadata, 2: rules },
  RoleBinding: binding,
  ClusterRoleBinding: binding,
  SelfSubjectReview: {},
  SelfSubjectRulesReview: { 2: message("spec", { 1: text("namespace") }) },
  SelfSubjectAccessReview: {
    2: message("spec", {
      1: message(
        "resourceAttributes",
        Object.fromEntries(resourceAttributes.map((name, index) => [index + 1, text(name)])),
      ),
      2: message("nonResourceAttributes", { 1: text("path"), 2: text("verb") }),
    }),
  },
  DeleteOptions: { 1: int("gracePeriodSeconds"), 2: message("preconditions", { 1: text("uid") }) },
};

/** @returns the schema of a kind; undefined if it can be sent as JSON only */
export function protobufSchema(kind: string): MessageSchema | undefined {
  return Object.hasOwn(SCHEMAS, kind) ? SCHEMAS[kind] : undefined;
}
